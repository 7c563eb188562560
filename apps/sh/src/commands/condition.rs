//! `test` and `[`: conditions on strings, numbers and files (POSIX XCU test,
//! without -a and -o).

use crate::context::{Context, Options};
use crate::view;
use scheme::stat::{FileKind, Stat};

/// `test`.
pub fn test(cx: &mut Context<'_>, options: &Options<'_>) {
    evaluate(cx, &options.operands);
}

/// `[`.
pub fn bracket(cx: &mut Context<'_>, options: &Options<'_>) {
    match options.operands.split_last() {
        Some((&"]", words)) => evaluate(cx, words),
        _ => {
            cx.complain(format_args!("missing ']'"));
            cx.status = 2;
        }
    }
}

fn evaluate(cx: &mut Context<'_>, words: &[&str]) {
    match truth(cx, words) {
        Some(true) => {}
        Some(false) => cx.status = 1,
        None => {
            cx.complain(format_args!("{}: not an expression", words.join(" ")));
            cx.status = 2;
        }
    }
}

fn truth(cx: &mut Context<'_>, words: &[&str]) -> Option<bool> {
    match words {
        [] => Some(false),
        [word] => Some(!word.is_empty()),
        ["!", rest @ ..] => truth(cx, rest).map(|t| !t),
        ["-n", word] => Some(!word.is_empty()),
        ["-z", word] => Some(word.is_empty()),
        [operator @ ("-e" | "-f" | "-d" | "-s" | "-x"), word] => {
            let stat: Option<Stat> = cx.path(word).and_then(|path| view::stat(cx.system, &path)).ok();
            Some(stat.is_some_and(|stat| match *operator {
                "-f" => stat.kind == FileKind::File,
                "-d" => stat.kind == FileKind::Directory,
                "-s" => stat.size > 0,
                "-x" => stat.permissions & 0o111 != 0,
                _ => true,
            }))
        }
        [a, "=", b] => Some(a == b),
        [a, "!=", b] => Some(a != b),
        [a, operator, b] => {
            let (a, b) = (a.parse::<i64>().ok()?, b.parse::<i64>().ok()?);
            match *operator {
                "-eq" => Some(a == b),
                "-ne" => Some(a != b),
                "-lt" => Some(a < b),
                "-le" => Some(a <= b),
                "-gt" => Some(a > b),
                "-ge" => Some(a >= b),
                _ => None,
            }
        }
        _ => None,
    }
}
