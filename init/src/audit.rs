//! The audit record as lines.
//!
//! What a line looks like is said in `scheme::services`. Names and paths in a record are bytes that programs chose:
//! all but plain characters are escaped, so that nobody forges a word, a line, or what a terminal does.

use crate::policy::Policy;
use abi::security::{Kind, Record, RING_ALL, RING_DENIALS};
use abi::{Error, Kind as ObjectKind, Result, Rights};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use scheme::services;

/// Records of a ring from a position on, the next position, and how many were lost before.
type Reader<'r> = dyn FnMut(u64, u64) -> Result<(Vec<Record>, u64, u64)> + 'r;

/// Bytes as one word: what is not a plain character, and `\`, becomes `\xNN`; nothing at all becomes `-`.
fn word(bytes: &[u8]) -> String {
    if bytes.is_empty() {
        return "-".to_string();
    }
    let mut out = String::new();
    for &byte in bytes {
        match byte {
            b'\\' => out.push_str("\\\\"),
            0x21..=0x7e => out.push(char::from(byte)),
            _ => out.push_str(&format!("\\x{byte:02x}")),
        }
    }
    out
}

/// A zero-padded name as a word.
fn name(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|b| *b == 0).unwrap_or(bytes.len());
    word(bytes.get(..end).unwrap_or(bytes))
}

fn rights(rights: Rights) -> String {
    let letters = [
        (Rights::SEND, 's'),
        (Rights::INSPECT, 'i'),
        (Rights::DERIVE, 'd'),
        (Rights::TRANSFER, 't'),
        (Rights::MANAGE, 'm'),
    ];
    let has: String = letters.into_iter().filter(|(r, _)| rights.contains(*r)).map(|(_, letter)| letter).collect();
    if has.is_empty() {
        "-".to_string()
    } else {
        has
    }
}

fn named(names: &[String], number: u32) -> String {
    names.get(number as usize).cloned().unwrap_or_else(|| format!("{number}"))
}

/// A record's line, with its end.
pub fn line(policy: &Policy, record: &Record) -> String {
    let micros = record.time_ns / 1000;
    let label = |number| named(policy.subjects(), number);
    let other = match (record.kind, record.other) {
        (Kind::Open | Kind::Name, _) => label(record.other_label),
        (_, 0) => "-".to_string(),
        (_, process) => format!("{}/{process}", label(record.other_label)),
    };
    let typed = matches!(record.kind, Kind::Open | Kind::Pass | Kind::Name | Kind::Make);
    let object_type = if typed { named(policy.types(), record.object_type) } else { "-".to_string() };
    let asked = if record.asked.is_empty() {
        "-".to_string()
    } else {
        format!("{}>{}", rights(record.asked), rights(record.given))
    };
    let object = ObjectKind::from_number(record.object_kind);
    let path = if record.path().is_empty() { String::new() } else { word(record.path()) };
    let what = match (record.kind, object) {
        (Kind::Open | Kind::Name | Kind::Note, _) => format!("{}:{path}", name(&record.scheme)),
        (_, Some(kind)) => format!("{}#{}", kind.name(), record.object),
        (_, None) => "-".to_string(),
    };
    format!(
        "{}.{:06} {} {} {} {} {} {other} {object_type} {asked} {what}\n",
        micros / 1_000_000,
        micros % 1_000_000,
        record.verdict.name(),
        record.kind.name(),
        record.process,
        name(&record.name),
        label(record.label),
    )
}

fn lost(count: u64) -> String {
    format!("lost {count} - - - - - - - -\n")
}

/// Whole lines from a position on, as far as there is room, and the position after them. Errors: `NotSupported` (no such
/// command), `BadArgument` (no room for a line), the reader's.
pub fn read(
    policy: &Policy,
    command: u64,
    position: u64,
    room: usize,
    reader: &mut Reader<'_>,
) -> Result<(u64, String)> {
    match command {
        services::AUDIT => all(policy, position, room, reader),
        // Past the end there is nothing but the end.
        services::AUDIT_END => Ok((reader(RING_ALL, u64::MAX)?.1, String::new())),
        services::AUDIT_DENIALS => denials(policy, position, room, reader),
        _ => Err(Error::NotSupported),
    }
}

fn all(policy: &Policy, mut position: u64, room: usize, reader: &mut Reader<'_>) -> Result<(u64, String)> {
    let mut text = String::new();
    loop {
        let (records, _, missed) = reader(RING_ALL, position)?;
        if records.is_empty() {
            return Ok((position, text));
        }
        for (index, record) in records.iter().enumerate() {
            let mut next = line(policy, record);
            if index == 0 && missed != 0 {
                next.insert_str(0, &lost(missed));
            }
            if text.len().saturating_add(next.len()) > room {
                return if text.is_empty() { Err(Error::BadArgument) } else { Ok((position, text)) };
            }
            text.push_str(&next);
            position = record.number.saturating_add(1);
        }
    }
}

/// The denials of all subjects, in the order of their numbers. Each subject's are kept for themselves: what is lost of
/// one is counted before the first line.
fn denials(policy: &Policy, mut position: u64, room: usize, reader: &mut Reader<'_>) -> Result<(u64, String)> {
    let mut found: Vec<Record> = Vec::new();
    let mut gone = 0u64;
    for subject in 0..policy.subjects().len() as u64 {
        let mut at = 0;
        loop {
            let (records, next, missed) = reader(RING_DENIALS.saturating_add(subject), at)?;
            if records.is_empty() {
                break;
            }
            gone = gone.saturating_add(missed);
            found.extend(records.into_iter().filter(|record| record.number >= position));
            at = next;
        }
    }
    found.sort_by_key(|record| record.number);
    let mut text = if position == 0 && gone != 0 { lost(gone) } else { String::new() };
    let begin = text.len();
    for record in &found {
        let next = line(policy, record);
        if text.len().saturating_add(next.len()) > room {
            return if text.len() == begin { Err(Error::BadArgument) } else { Ok((position, text)) };
        }
        text.push_str(&next);
        position = record.number.saturating_add(1);
    }
    Ok((position, text))
}

#[cfg(test)]
mod tests {
    use super::{line, read};
    use crate::policy::Policy;
    use abi::security::{Kind, Record, Verdict};
    use abi::{Error, Rights};
    use scheme::services::{AuditLine, AUDIT, AUDIT_DENIALS, AUDIT_END};

    fn policy() -> Policy {
        Policy::compile([("x", "subjects = [\"shell\"]\ntypes = [\"file\"]")]).unwrap()
    }

    fn denied(number: u64) -> Record {
        let mut record = Record {
            number,
            time_ns: 1_234_567_890,
            kind: Kind::Open,
            verdict: Verdict::Denied,
            process: 40,
            label: 2,
            other_label: 1,
            object_type: 1,
            asked: Rights::SEND,
            path_length: 5,
            ..Record::EMPTY
        };
        record.name[..2].copy_from_slice(b"sh");
        record.scheme[..4].copy_from_slice(b"file");
        record.path[..5].copy_from_slice(b"a/b c");
        record
    }

    #[test]
    fn a_record_becomes_a_line() {
        assert_eq!(line(&policy(), &denied(0)), "1.234567 denied open 40 sh shell init file s>- file:a/b\\x20c\n");
        let record = Record { kind: Kind::Pass, other: 7, other_label: 9, object_kind: 4, object: 3, ..denied(0) };
        let text = line(&policy(), &record);
        let parsed = AuditLine::parse(text.trim_end()).unwrap();
        assert_eq!((parsed.other, parsed.kind), ("9/7", "pass"));
        assert!(parsed.what.ends_with("#3"), "{text}");
        let policy_load = Record { kind: Kind::Policy, ..Record::EMPTY };
        assert_eq!(line(&policy(), &policy_load), "0.000000 allowed policy 0 - default - - - -\n");
    }

    #[test]
    fn nothing_a_program_chooses_forges_a_word_or_a_line() {
        for byte in 0..=255u8 {
            let mut record = denied(1);
            record.name[0] = byte;
            record.scheme[1] = byte;
            record.path = [byte; 64];
            record.path_length = 64;
            let text = line(&policy(), &record);
            assert!(text.ends_with('\n') && text.matches('\n').count() == 1, "{byte}");
            assert!(text.bytes().all(|b| b == b'\n' || (0x20..0x7f).contains(&b)), "{byte}");
            let parsed = AuditLine::parse(text.trim_end()).unwrap_or_else(|| panic!("{text}"));
            assert_eq!((parsed.verdict, parsed.label, parsed.object_type), ("denied", "shell", "file"), "{byte}");
        }
        // An escape that is written out is told from one that was made.
        let mut record = denied(1);
        record.path[..5].copy_from_slice(b"\\x20c");
        assert!(line(&policy(), &record).ends_with("file:\\\\x20c\n"));
    }

    #[test]
    fn reading_goes_on_where_it_was_and_counts_what_is_lost() {
        let mut ring = |ring: u64, position: u64| {
            assert_eq!(ring, 0);
            let first = position.clamp(10, 30);
            let records: Vec<Record> = (first..30).take(16).map(denied).collect();
            Ok((records.clone(), first + records.len() as u64, first.saturating_sub(position)))
        };
        let (mut position, mut lines) = (0, Vec::new());
        loop {
            let (next, text) = read(&policy(), AUDIT, position, 300, &mut ring).unwrap();
            if text.is_empty() {
                break;
            }
            assert!(text.len() <= 300 && next > position);
            position = next;
            lines.extend(text.lines().map(ToString::to_string));
        }
        assert_eq!(position, 30);
        assert_eq!(lines.len(), 21);
        assert!(lines[0].starts_with("lost 10 "), "{}", lines[0]);
        assert!(lines.iter().all(|line| AuditLine::parse(line).is_some()));
        assert_eq!(read(&policy(), AUDIT_END, 0, 0, &mut ring), Ok((30, String::new())));
        assert_eq!(read(&policy(), AUDIT, 0, 10, &mut ring), Err(Error::BadArgument));
        assert_eq!(read(&policy(), 99, 0, 10, &mut ring), Err(Error::NotSupported));
    }

    #[test]
    fn denials_of_all_labels_come_in_order() {
        // Subject n has the numbers n, n + 3, …; the first has lost four.
        let mut rings = |ring: u64, position: u64| {
            let subject = ring - 1;
            let first = position.max(if subject == 0 { 4 } else { 0 });
            let records: Vec<Record> = (first..6).map(|n| denied(n * 3 + subject)).collect();
            Ok((records, 6, first - position))
        };
        let (position, text) = read(&policy(), AUDIT_DENIALS, 0, 10_000, &mut rings).unwrap();
        assert!(text.starts_with("lost 4 "));
        assert_eq!((position, text.lines().count()), (18, 1 + 2 + 6 + 6));
        let (position, text) = read(&policy(), AUDIT_DENIALS, 16, 10_000, &mut rings).unwrap();
        assert_eq!((position, text.lines().count()), (18, 2));
        assert_eq!(read(&policy(), AUDIT_DENIALS, 18, 10_000, &mut rings), Ok((18, String::new())));
    }
}
