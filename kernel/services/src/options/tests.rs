//! The command line's words: which count, which do not.

use super::Options;
use log::LevelFilter;

#[test]
fn known_words_count_and_others_do_not() {
    let options = Options::parse("  root=x quiet log=debug cpus=3 ");
    assert_eq!(options, Options { quiet: true, level: LevelFilter::Debug, cpus: 3 });
    let none = Options { quiet: false, level: LevelFilter::Info, cpus: usize::MAX };
    assert_eq!(Options::parse("quieter log=loud cpus=all"), none);
    assert_eq!(Options::parse("cpus=0").cpus, 1);
}
