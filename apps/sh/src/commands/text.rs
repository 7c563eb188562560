//! `cat`, `head`, `wc`, `cmp`, `echo`: bytes from streams.

use crate::context::{Chunk, Context, Options};
use crate::system::Shared;
use alloc::vec::Vec;
use core::fmt::Write;
use scheme::wire::OpenFlags;
use scheme::{Error, Result};

/// The stream that a word names: `-` is standard input.
pub fn source(cx: &mut Context<'_>, word: &str) -> Result<Shared> {
    if word == "-" {
        return Ok(cx.input.clone());
    }
    let path = cx.path(word)?;
    if crate::view::is_directory(cx.system, &path) {
        return Err(Error::IsDirectory);
    }
    cx.system.open(&path, OpenFlags::READ)
}

/// The operands, or standard input where there are none.
pub fn words<'o>(options: &'o Options<'_>) -> Vec<&'o str> {
    if options.operands.is_empty() {
        [("-")].into()
    } else {
        options.operands.clone()
    }
}

/// Calls `each` with a stream's bytes, piece by piece, until it answers `false`. Errors: those of reading.
pub fn pieces(stream: &Shared, chunk: &mut Chunk, mut each: impl FnMut(&[u8]) -> bool) -> Result<()> {
    loop {
        let length = stream.read(chunk.room())?;
        if length == 0 || !each(chunk.first(length)) {
            return Ok(());
        }
    }
}

/// `cat`.
pub fn cat(cx: &mut Context<'_>, options: &Options<'_>) {
    let mut chunk = Chunk::new();
    let out = cx.out.stream();
    for word in words(options) {
        let stream = source(cx, word);
        let Some(stream) = cx.check(word, stream) else { continue };
        let mut failed = None;
        let read = pieces(&stream, &mut chunk, |bytes| {
            failed = out.write_all(bytes).err();
            failed.is_none()
        });
        cx.check(word, read);
        if let Some(error) = failed {
            cx.out.fail(error);
            return;
        }
    }
}

/// `head`.
pub fn head(cx: &mut Context<'_>, options: &Options<'_>) {
    let number = |letter| options.value(letter).map(str::parse::<u64>);
    let (lines, bytes) = match (number('n'), number('c')) {
        (None, None) => (10, u64::MAX),
        (None, Some(Ok(bytes))) => (u64::MAX, bytes),
        (Some(Ok(lines)), None) => (lines, u64::MAX),
        _ => return cx.complain(format_args!("invalid number")),
    };
    let mut chunk = Chunk::new();
    let all = words(options);
    for (i, word) in all.iter().enumerate() {
        let stream = source(cx, word);
        let Some(stream) = cx.check(word, stream) else { continue };
        if all.len() > 1 {
            let _ = writeln!(cx.out, "{}==> {word} <==", if i > 0 { "\n" } else { "" });
        }
        let (mut lines, mut bytes) = (lines, bytes);
        if lines == 0 || bytes == 0 {
            continue;
        }
        let out = &mut cx.out;
        let read = pieces(&stream, &mut chunk, |piece| {
            let limit = usize::try_from(bytes).unwrap_or(usize::MAX);
            let mut end = piece.len().min(limit);
            for (at, _) in piece.iter().enumerate().take(end).filter(|(_, b)| **b == b'\n') {
                lines -= 1;
                if lines == 0 {
                    end = at + 1;
                    break;
                }
            }
            out.bytes(piece.get(..end).unwrap_or(piece));
            bytes -= end as u64;
            lines > 0 && bytes > 0
        });
        cx.check(word, read);
    }
}

/// `wc`.
pub fn wc(cx: &mut Context<'_>, options: &Options<'_>) {
    let any = ['l', 'w', 'c'].into_iter().any(|letter| options.has(letter));
    let mut chunk = Chunk::new();
    let mut total = [0u64; 3];
    let all = words(options);
    for word in &all {
        let stream = source(cx, word);
        let Some(stream) = cx.check(word, stream) else { continue };
        let mut counts = [0u64; 3];
        let mut in_word = false;
        let read = pieces(&stream, &mut chunk, |piece| {
            for byte in piece {
                counts[0] += u64::from(*byte == b'\n');
                let blank = byte.is_ascii_whitespace();
                counts[1] += u64::from(!blank && !in_word);
                in_word = !blank;
            }
            counts[2] += piece.len() as u64;
            true
        });
        cx.check(word, read);
        let name = if options.operands.is_empty() { "" } else { word };
        total.iter_mut().zip(counts).for_each(|(t, c)| *t += c);
        count_line(cx, options, any, counts, name);
    }
    if all.len() > 1 {
        count_line(cx, options, any, total, "total");
    }
}

fn count_line(cx: &mut Context<'_>, options: &Options<'_>, any: bool, counts: [u64; 3], name: &str) {
    let mut first = true;
    for (letter, count) in ['l', 'w', 'c'].into_iter().zip(counts) {
        if any && !options.has(letter) {
            continue;
        }
        let _ = write!(cx.out, "{}{count}", if first { "" } else { " " });
        first = false;
    }
    let _ = writeln!(cx.out, "{}{name}", if name.is_empty() { "" } else { " " });
}

/// `cmp`.
pub fn cmp(cx: &mut Context<'_>, options: &Options<'_>) {
    let (Some(one), Some(other)) = (options.operands.first(), options.operands.get(1)) else { return };
    let streams = (source(cx, one), source(cx, other));
    let (Some(a), Some(b)) = (cx.check(one, streams.0), cx.check(other, streams.1)) else {
        cx.status = 2;
        return;
    };
    let (mut left, mut right) = (Chunk::new(), Chunk::new());
    let (mut at, mut line) = (0u64, 1u64);
    loop {
        let read = fill(&a, &mut left).and_then(|l| fill(&b, &mut right).map(|r| (l, r)));
        let Some((l, r)) = cx.check(one, read) else {
            cx.status = 2;
            return;
        };
        let (l, r) = (left.first(l), right.first(r));
        let same = l.iter().zip(r).take_while(|(x, y)| x == y).count();
        line += l.iter().take(same).filter(|b| **b == b'\n').count() as u64;
        if same < l.len().min(r.len()) {
            if !options.has('s') {
                let _ = writeln!(cx.out, "{one} {other} differ: byte {}, line {line}", at + same as u64 + 1);
            }
            cx.status = 1;
            return;
        }
        at += same as u64;
        if l.len() != r.len() {
            let shorter = if l.len() < r.len() { one } else { other };
            if options.has('s') {
                cx.status = 1;
            } else {
                cx.complain(format_args!("EOF on {shorter} after byte {at}"));
            }
            return;
        }
        if l.is_empty() {
            return;
        }
    }
}

/// Fills a chunk, or less at the end.
fn fill(stream: &Shared, chunk: &mut Chunk) -> Result<usize> {
    let mut done = 0;
    while let Some(rest) = chunk.room().get_mut(done..).filter(|rest| !rest.is_empty()) {
        match stream.read(rest)? {
            0 => break,
            more => done += more,
        }
    }
    Ok(done)
}

/// `echo`.
pub fn echo(cx: &mut Context<'_>, options: &Options<'_>) {
    let words = options.operands.as_slice();
    let (end, words) = match words.split_first() {
        Some((&"-n", rest)) => ("", rest),
        _ => ("\n", words),
    };
    let _ = write!(cx.out, "{}{end}", words.join(" "));
}
