//! The scheme `console:` on a canvas, through the host harness.

use console::paint::Canvas;
use console::server::{Console, Display, SET_MODE, SIZE};
use scheme::host::Harness;
use scheme::wire::OpenFlags;

fn console() -> Harness<Console> {
    let display = Some(Display::new(Box::new(Canvas::new(160, 64))));
    Harness::new(Console { display, ..Console::default() })
}

#[test]
fn what_is_written_is_on_the_screen() {
    let harness = console();
    let file = harness.root().open_at("", OpenFlags::READ | OpenFlags::WRITE).unwrap();
    file.write_all(b"one\ntwo").unwrap();
    let row = |n| {
        harness.scheme(|c| c.display.as_ref().unwrap().screen().row(n).iter().map(|c| c.character).collect::<String>())
    };
    assert_eq!((row(0).trim_end().to_owned(), row(1).trim_end().to_owned()), ("one".into(), "two".into()));
    assert_eq!(file.control(SIZE, 0, &[], &mut []).unwrap().0, 20 | 4 << 32);
}

#[test]
fn what_is_typed_is_read_in_the_mode_that_is_set() {
    let harness = console();
    let file = harness.root().open_at("", OpenFlags::READ | OpenFlags::WRITE).unwrap();
    harness.scheme(|c| c.typed(b"ab\x7fc\rrest"));
    let mut out = [0; 16];
    assert_eq!(file.read(&mut out).unwrap(), 3);
    assert_eq!(&out[..3], b"ac\n");
    file.control(SET_MODE, 1, &[], &mut []).unwrap();
    assert_eq!(file.read(&mut out).unwrap(), 4);
    assert!(file.control(SET_MODE, 7, &[], &mut []).is_err());
}
