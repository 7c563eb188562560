//! The command line: cleaned for the kernel, and read for the loader's own
//! words.
//!
//! `cmdline.txt` is UTF-8. Lines that start with `#` are remarks; the rest is words between blanks.
//! The whole line goes to the kernel, which ignores words that are not for it, as the loader does.

use crate::screen::Wish;
use abi::boot::COMMAND_LINE;
use alloc::string::String;

/// A command line, ready for [`abi::boot::BootInfo`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// The words, one blank between two.
    pub line: String,
    /// `video=none`, `video=current` or `video=WIDTHxHEIGHT`; the last one counts.
    pub video: Wish,
}

/// Why a command line can't be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bad {
    /// Not UTF-8.
    NotText,
    /// Longer than the kernel takes.
    TooLong,
    /// A `video=` that means nothing.
    Video,
}

impl Bad {
    /// In plain words.
    pub const fn text(self) -> &'static str {
        match self {
            Bad::NotText => "is not UTF-8 text",
            Bad::TooLong => "is longer than 1024 bytes",
            Bad::Video => "has a video= that is not none, current or WIDTHxHEIGHT",
        }
    }
}

fn size(text: &str) -> Option<(u32, u32)> {
    let (width, height) = text.split_once('x')?;
    let (width, height) = (width.parse().ok()?, height.parse().ok()?);
    (width > 0 && height > 0).then_some((width, height))
}

impl Options {
    /// Reads the contents of `cmdline.txt`.
    pub fn parse(file: &[u8]) -> Result<Options, Bad> {
        let text = core::str::from_utf8(file).map_err(|_| Bad::NotText)?;
        // Windows' editors put a byte-order mark in front.
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut options = Options::default();
        let lines = text.lines().filter(|line| !line.trim_start().starts_with('#'));
        for word in lines.flat_map(str::split_whitespace) {
            if !options.line.is_empty() {
                options.line.push(' ');
            }
            options.line.push_str(word);
            if let Some(value) = word.strip_prefix("video=") {
                options.video = match value {
                    "none" => Wish::None,
                    "current" => Wish::Current,
                    _ => size(value).map(|(width, height)| Wish::Size { width, height }).ok_or(Bad::Video)?,
                };
            }
        }
        if options.line.len() > COMMAND_LINE {
            return Err(Bad::TooLong);
        }
        Ok(options)
    }
}

#[cfg(test)]
mod tests {
    use super::{Bad, Options};
    use crate::screen::Wish;

    #[test]
    fn lines_blanks_and_remarks_become_one_line() {
        let file = "\u{feff}# for the tests\r\n  log=debug \r\n\n   # more\nroot=memfs\tx";
        assert_eq!(Options::parse(file.as_bytes()).unwrap().line, "log=debug root=memfs x");
        assert_eq!(Options::parse(b"").unwrap(), Options::default());
    }

    #[test]
    fn the_last_video_word_counts_and_stays_in_the_line() {
        let options = Options::parse(b"video=none video=800x600").unwrap();
        assert_eq!(options.video, Wish::Size { width: 800, height: 600 });
        assert_eq!(options.line, "video=none video=800x600");
        assert_eq!(Options::parse(b"video=current").unwrap().video, Wish::Current);
    }

    #[test]
    fn what_means_nothing_is_refused() {
        for bad in ["video=", "video=800", "video=0x600", "video=800x", "video=-1x5", "video=99999999999x1"] {
            assert_eq!(Options::parse(bad.as_bytes()), Err(Bad::Video), "{bad}");
        }
        assert_eq!(Options::parse(b"\xff\xfe"), Err(Bad::NotText));
    }

    #[test]
    fn the_longest_line_fits_and_one_byte_more_does_not() {
        assert_eq!(Options::parse(&[b'a'; 1024]).unwrap().line.len(), 1024);
        assert_eq!(Options::parse(&[b'a'; 1025]), Err(Bad::TooLong));
    }
}
