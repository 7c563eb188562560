//! The command line's words: which count, which do not.

use super::Options;
use log::LevelFilter;

#[test]
fn known_words_count_and_others_do_not() {
    let options = Options::parse("  root=x quiet log=debug ");
    assert_eq!(options, Options { quiet: true, level: LevelFilter::Debug });
    assert_eq!(Options::parse("quieter log=loud"), Options { quiet: false, level: LevelFilter::Info });
}
