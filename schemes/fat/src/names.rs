//! What a name may be, how names compare, and the 8.3 alias of a long one.
//!
//! Names outside are UTF-8; on disk a long name is UTF-16 and a short one is in a code page. Short
//! names from elsewhere are read as code page 850, the default of dosfstools and mtools; aliases
//! made here hold ASCII alone, so that the page never matters.

use crate::entry::ShortEntry;
use crate::long_name::MAX_UNITS;
use abi::error::{Error, Result};
use alloc::collections::BTreeSet;
use alloc::string::String;
use alloc::vec::Vec;

/// The base of the short name is shown in lower case.
pub const LOWER_BASE: u8 = 0x08;
/// The extension of the short name is shown in lower case.
pub const LOWER_EXTENSION: u8 = 0x10;
/// The largest number in an alias.
const MAX_TAIL: u32 = 999_999;

/// Code page 850 from 0x80 on.
const CODE_PAGE: [u16; 128] = [
    0x00c7, 0x00fc, 0x00e9, 0x00e2, 0x00e4, 0x00e0, 0x00e5, 0x00e7, 0x00ea, 0x00eb, 0x00e8, 0x00ef, 0x00ee, 0x00ec,
    0x00c4, 0x00c5, 0x00c9, 0x00e6, 0x00c6, 0x00f4, 0x00f6, 0x00f2, 0x00fb, 0x00f9, 0x00ff, 0x00d6, 0x00dc, 0x00f8,
    0x00a3, 0x00d8, 0x00d7, 0x0192, 0x00e1, 0x00ed, 0x00f3, 0x00fa, 0x00f1, 0x00d1, 0x00aa, 0x00ba, 0x00bf, 0x00ae,
    0x00ac, 0x00bd, 0x00bc, 0x00a1, 0x00ab, 0x00bb, 0x2591, 0x2592, 0x2593, 0x2502, 0x2524, 0x00c1, 0x00c2, 0x00c0,
    0x00a9, 0x2563, 0x2551, 0x2557, 0x255d, 0x00a2, 0x00a5, 0x2510, 0x2514, 0x2534, 0x252c, 0x251c, 0x2500, 0x253c,
    0x00e3, 0x00c3, 0x255a, 0x2554, 0x2569, 0x2566, 0x2560, 0x2550, 0x256c, 0x00a4, 0x00f0, 0x00d0, 0x00ca, 0x00cb,
    0x00c8, 0x0131, 0x00cd, 0x00ce, 0x00cf, 0x2518, 0x250c, 0x2588, 0x2584, 0x00a6, 0x00cc, 0x2580, 0x00d3, 0x00df,
    0x00d4, 0x00d2, 0x00f5, 0x00d5, 0x00b5, 0x00fe, 0x00de, 0x00da, 0x00db, 0x00d9, 0x00fd, 0x00dd, 0x00af, 0x00b4,
    0x00ad, 0x00b1, 0x2017, 0x00be, 0x00b6, 0x00a7, 0x00f7, 0x00b8, 0x00b0, 0x00a8, 0x00b7, 0x00b9, 0x00b3, 0x00b2,
    0x25a0, 0x00a0,
];

/// Whether a unit may stand in a long name.
fn allowed(unit: u16) -> bool {
    unit >= 0x20
        && unit != 0x7f
        && !matches!(u8::try_from(unit), Ok(b'"' | b'*' | b'/' | b':' | b'<' | b'>' | b'?' | b'\\' | b'|'))
}

/// Checks a name and turns it into UTF-16.
///
/// Errors: `InvalidName` for the empty name, `.`, `..`, a forbidden character, or a blank or dot at
/// the end (other systems strip these, so the file could not be found again); `NameTooLong`.
pub fn parse(name: &str) -> Result<Vec<u16>> {
    if name.len() > MAX_UNITS * 3 {
        return Err(Error::NameTooLong);
    }
    let units: Vec<u16> = name.encode_utf16().collect();
    if units.len() > MAX_UNITS {
        return Err(Error::NameTooLong);
    }
    if name.is_empty() || name.ends_with(['.', ' ']) || !units.iter().copied().all(allowed) {
        return Err(Error::InvalidName);
    }
    Ok(units)
}

/// Upper case of a unit where that is one unit too.
fn fold(unit: u16) -> u16 {
    if unit < 0x80 {
        return u16::from((unit as u8).to_ascii_uppercase());
    }
    let Some(letter) = char::from_u32(u32::from(unit)) else { return unit };
    let mut upper = letter.to_uppercase();
    match (upper.next(), upper.next()) {
        (Some(one), None) => u16::try_from(u32::from(one)).unwrap_or(unit),
        _ => unit,
    }
}

/// Whether two names are the same but for case.
pub fn same(one: &[u16], other: &[u16]) -> bool {
    one.len() == other.len() && one.iter().zip(other).all(|(a, b)| a == b || fold(*a) == fold(*b))
}

/// The units of a long name, if every one may stand in a name; a hostile disk can hold others.
pub fn usable(units: &[u16]) -> bool {
    units.iter().copied().all(allowed) && units != [0x2e] && units != [0x2e, 0x2e]
}

/// The short name of an entry as it is shown.
pub fn shown_short(entry: &ShortEntry) -> Vec<u16> {
    let name = entry.name();
    let half = |bytes: &[u8], lower: bool| -> Vec<u16> {
        let end = bytes.iter().rposition(|byte| *byte != b' ').map_or(0, |last| last + 1);
        let unit = |byte: &u8| match byte {
            0x80.. => CODE_PAGE[usize::from(*byte) - 0x80],
            _ if lower => u16::from(byte.to_ascii_lowercase()),
            _ => u16::from(*byte),
        };
        bytes[..end].iter().map(unit).map(|unit| if allowed(unit) { unit } else { 0x5f }).collect()
    };
    let mut units = half(&name[..8], entry.case() & LOWER_BASE != 0);
    let extension = half(&name[8..], entry.case() & LOWER_EXTENSION != 0);
    if !extension.is_empty() {
        units.push(0x2e);
        units.extend(extension);
    }
    if units.is_empty() || !usable(&units) {
        units.insert(0, 0x5f);
    }
    units
}

/// Units as text; what is no text becomes the replacement character.
pub fn text(units: &[u16]) -> String {
    String::from_utf16_lossy(units)
}

/// How a name is stored in short form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Short {
    /// The name, or what an alias is made of.
    pub name: [u8; 11],
    /// Lower-case halves.
    pub case: u8,
    /// Whether the short form alone shows the name exactly, so that no long one is needed.
    pub exact: bool,
    /// Whether the name lost something, so that a number is needed even without a clash.
    pub lossy: bool,
}

/// Whether a byte may stand in a short name.
fn short_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'()-@^_`{}~".contains(&byte)
}

/// The short form of a valid name (FAT specification, "The Basis-Name Generation Algorithm").
pub fn short(units: &[u16]) -> Short {
    let start = units.iter().position(|unit| *unit != 0x2e && *unit != 0x20).unwrap_or(0);
    let body = &units[start..];
    let dot = body.iter().rposition(|unit| *unit == 0x2e);
    let (base, extension) = match dot {
        Some(at) => (&body[..at], &body[at + 1..]),
        None => (body, &body[..0]),
    };
    let mut lossy = start > 0;
    let mut name = [b' '; 11];
    let mut cases = [0u8; 2];
    for (half, (source, room)) in [(base, 0..8), (extension, 8..11)].into_iter().enumerate() {
        let mut at = room.start;
        for unit in source {
            if matches!(*unit, 0x20 | 0x2e) {
                lossy = true;
                continue;
            }
            let byte = match u8::try_from(*unit) {
                Ok(byte) if short_byte(byte) => byte,
                _ => {
                    lossy = true;
                    b'_'
                }
            };
            // 1: has lower case, 2: has upper case.
            cases[half] |= u8::from(byte.is_ascii_lowercase()) | u8::from(byte.is_ascii_uppercase()) << 1;
            if at == room.end {
                lossy = true;
                break;
            }
            name[at] = byte.to_ascii_uppercase();
            at += 1;
        }
    }
    if name[0] == b' ' {
        name[0] = b'_';
        lossy = true;
    }
    let exact = !lossy && cases[0] != 3 && cases[1] != 3;
    let case = if exact { ((cases[0] & 1) * LOWER_BASE) | ((cases[1] & 1) * LOWER_EXTENSION) } else { 0 };
    Short { name, case, exact, lossy }
}

/// Finds a free alias: watches the short names of a directory go by, then chooses.
#[derive(Debug)]
pub struct AliasChooser {
    wanted: Short,
    plain_taken: bool,
    tails: BTreeSet<u32>,
}

impl AliasChooser {
    /// For a name of this short form.
    pub fn new(wanted: Short) -> AliasChooser {
        AliasChooser { wanted, plain_taken: false, tails: BTreeSet::new() }
    }

    /// The base cut so that a tail of this many digits fits behind it.
    fn prefix(&self, digits: usize) -> &[u8] {
        let base = &self.wanted.name[..8];
        let end = base.iter().position(|byte| *byte == b' ').unwrap_or(8);
        &base[..end.min(7 - digits)]
    }

    /// A short name that is taken.
    pub fn take(&mut self, name: &[u8; 11]) {
        self.plain_taken |= *name == self.wanted.name;
        if name[8..] != self.wanted.name[8..] {
            return;
        }
        let end = name[..8].iter().position(|byte| *byte == b' ').unwrap_or(8);
        let base = &name[..end];
        let Some(tilde) = base.iter().rposition(|byte| *byte == b'~') else { return };
        let digits = &base[tilde + 1..];
        if !(1..=6).contains(&digits.len()) || digits[0] == b'0' || base[..tilde] != *self.prefix(digits.len()) {
            return;
        }
        let number = digits
            .iter()
            .try_fold(0u32, |sum, digit| digit.is_ascii_digit().then(|| sum * 10 + u32::from(digit - b'0')));
        if let Some(number) = number {
            self.tails.insert(number);
        }
    }

    /// An alias no entry has. Errors: `NoSpace` when all million are taken.
    pub fn choose(&self) -> Result<[u8; 11]> {
        if !self.wanted.lossy && !self.plain_taken {
            return Ok(self.wanted.name);
        }
        let mut number = 1;
        for taken in &self.tails {
            if *taken > number {
                break;
            }
            number = taken + 1;
        }
        if number > MAX_TAIL {
            return Err(Error::NoSpace);
        }
        let mut digits = [0u8; 6];
        let mut count = 0;
        let mut rest = number;
        while rest > 0 {
            digits[count] = b'0' + (rest % 10) as u8;
            rest /= 10;
            count += 1;
        }
        let mut name = self.wanted.name;
        name[..8].fill(b' ');
        let prefix = self.prefix(count);
        name[..prefix.len()].copy_from_slice(prefix);
        name[prefix.len()] = b'~';
        for (place, digit) in digits[..count].iter().rev().enumerate() {
            name[prefix.len() + 1 + place] = *digit;
        }
        Ok(name)
    }
}

#[cfg(test)]
mod tests {
    use super::{parse, same, short, shown_short, text, AliasChooser, LOWER_BASE, LOWER_EXTENSION};
    use crate::entry::ShortEntry;
    use crate::time::Stamp;
    use abi::error::Error;

    fn short_of(name: &str) -> super::Short {
        short(&parse(name).unwrap())
    }

    #[test]
    fn names_that_other_systems_refuse_are_refused() {
        for name in ["", ".", "..", "a/b", "a\\b", "a:b", "a*", "a?", "a\"", "<", ">", "|", "a\n", "a.", "a "] {
            assert_eq!(parse(name), Err(Error::InvalidName), "{name:?}");
        }
        assert!(parse(&"é".repeat(255)).is_ok());
        assert_eq!(parse(&"é".repeat(256)), Err(Error::NameTooLong));
        assert_eq!(parse(&"😀".repeat(128)), Err(Error::NameTooLong));
        assert_eq!(text(&parse("naïve 😀.txt").unwrap()), "naïve 😀.txt");
    }

    #[test]
    fn names_compare_without_case() {
        let same = |a, b| same(&parse(a).unwrap(), &parse(b).unwrap());
        assert!(same("README", "readme") && same("Straße Ä", "straße ä") && same("ЖУК", "жук"));
        assert!(!same("readme", "readm") && !same("a", "b"));
    }

    #[test]
    fn short_forms_follow_the_specification() {
        assert_eq!(&short_of("README.TXT").name, b"README  TXT");
        assert!(short_of("README.TXT").exact && short_of("readme.TXT").exact);
        assert_eq!(short_of("readme.txt").case, LOWER_BASE | LOWER_EXTENSION);
        let mixed = short_of("ReadMe.txt");
        assert!(!mixed.exact && !mixed.lossy && mixed.case == 0);
        for (name, form) in [
            ("The quick brown.fox", b"THEQUICKFOX"),
            (".gitignore", b"GITIGNOR   "),
            ("archive.tar.gz", b"ARCHIVETGZ "),
            ("a+b=c.x", b"A_B_C   X  "),
            ("日本語.txt", b"___     TXT"),
            ("name.text", b"NAME    TEX"),
        ] {
            let short = short_of(name);
            if name != "archive.tar.gz" {
                assert_eq!(&short.name, form, "{name}");
            } else {
                assert_eq!(&short.name, b"ARCHIVETGZ ", "{name}");
            }
            assert!(short.lossy, "{name}");
        }
    }

    #[test]
    fn aliases_are_unique_and_shorten_the_base_as_numbers_grow() {
        let mut chooser = AliasChooser::new(short_of("long file name.text"));
        let mut seen = std::collections::BTreeSet::new();
        for number in 1..=1200u32 {
            let name = chooser.choose().unwrap();
            assert!(seen.insert(name));
            let tail = format!("~{number}");
            let base = &"LONGFILE"[..8 - tail.len()];
            assert_eq!(&name[..8], format!("{base}{tail}").as_bytes());
            chooser.take(&name);
        }
        // A gap is filled first.
        let mut chooser = AliasChooser::new(short_of("a b"));
        chooser.take(b"AB~1       ");
        chooser.take(b"AB~3       ");
        assert_eq!(&chooser.choose().unwrap(), b"AB~2       ");
    }

    #[test]
    fn a_clash_without_loss_gets_a_number_too() {
        let mut chooser = AliasChooser::new(short_of("ReadMe.txt"));
        assert_eq!(&chooser.choose().unwrap(), b"README  TXT");
        chooser.take(b"README  TXT");
        assert_eq!(&chooser.choose().unwrap(), b"README~1TXT");
    }

    #[test]
    fn short_names_are_shown_in_their_case_and_code_page() {
        let shown = |name: &[u8; 11], case| text(&shown_short(&ShortEntry::new(name, case, 0, 0, 0, Stamp::default())));
        assert_eq!(shown(b"README  TXT", LOWER_BASE), "readme.TXT");
        assert_eq!(shown(b"NOEXT      ", LOWER_EXTENSION), "NOEXT");
        assert_eq!(shown(b"\x9aBER    TXT", 0), "ÜBER.TXT");
        assert_eq!(shown(b"A/B\x01    TXT", 0), "A_B_.TXT", "no separator comes from a hostile disk");
        assert_eq!(shown(b"           ", 0), "_");
        assert_eq!(shown(b".          ", 0), "_.");
    }
}
