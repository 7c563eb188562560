//! `cp` and `mv`.

use crate::commands::remove::remove_tree;
use crate::context::{Chunk, Context, Options};
use crate::paths;
use crate::system::reason;
use crate::view;
use alloc::string::String;
use scheme::stat::FileKind;
use scheme::wire::OpenFlags;
use scheme::Error;

/// The deepest directory that is copied: a medium can hold a loop.
pub const DEEPEST: usize = 64;

/// What both take: sources, and the file or the directory they go to.
fn each(cx: &mut Context<'_>, options: &Options<'_>, mut act: impl FnMut(&mut Context<'_>, &str, &str, &str)) {
    let Some((target, sources)) = options.operands.split_last() else { return };
    let Some(to) = cx.path(target).map_err(|error| cx.fail(target, error)).ok() else { return };
    let into = view::is_directory(cx.system, &to);
    if sources.len() > 1 && !into {
        return cx.complain(format_args!("target '{target}': {}", reason(Error::NotDirectory)));
    }
    for word in sources {
        let from = cx.path(word);
        let Some(from) = cx.check(word, from) else { continue };
        let to = if into { paths::join(&to, paths::last(&from)) } else { to.clone() };
        act(cx, word, &from, &to);
    }
}

/// `cp`.
pub fn cp(cx: &mut Context<'_>, options: &Options<'_>) {
    let deep = options.has('r') || options.has('R');
    let mut chunk = Chunk::new();
    each(cx, options, |cx, word, from, to| {
        if view::is_directory(cx.system, from) {
            if !deep {
                return cx.complain(format_args!("-r not specified; omitting directory '{word}'"));
            }
            if paths::is_below(to, from) {
                return cx.complain(format_args!("cannot copy a directory, '{word}', into itself, '{to}'"));
            }
        }
        copy_tree(cx, from, to, &mut chunk, 0);
    });
}

/// `mv`.
pub fn mv(cx: &mut Context<'_>, options: &Options<'_>) {
    let mut chunk = Chunk::new();
    each(cx, options, |cx, word, from, to| match cx.system.rename(from, to) {
        Ok(()) => {}
        Err(Error::CrossDevice) => {
            let before = core::mem::replace(&mut cx.status, 0);
            copy_tree(cx, from, to, &mut chunk, 0);
            // What was not copied whole is not taken away.
            if cx.status == 0 {
                remove_tree(cx, from, 0);
            }
            cx.status = cx.status.max(before);
        }
        Err(error) => cx.complain(format_args!("cannot move '{word}' to '{to}': {}", reason(error))),
    });
}

fn copy_tree(cx: &mut Context<'_>, from: &str, to: &str, chunk: &mut Chunk, depth: usize) {
    if depth > DEEPEST {
        return cx.complain(format_args!("{from}: directories are nested too deep"));
    }
    let stat = view::stat(cx.system, from);
    let Some(stat) = cx.check(from, stat) else { return };
    if stat.kind != FileKind::Directory {
        if let Err((path, error)) = copy_file(cx, from, to, chunk) {
            cx.fail(&path, error);
        }
        return;
    }
    if !view::is_directory(cx.system, to) {
        let made = cx.system.mkdir(to);
        if cx.check(to, made).is_none() {
            return;
        }
    }
    let entries = view::list(cx.system, from);
    for entry in cx.check(from, entries).unwrap_or_default() {
        copy_tree(cx, &paths::join(from, &entry.name), &paths::join(to, &entry.name), chunk, depth + 1);
    }
}

/// Copies one file. Errors: which path, and why.
fn copy_file(
    cx: &mut Context<'_>,
    from: &str,
    to: &str,
    chunk: &mut Chunk,
) -> core::result::Result<(), (String, Error)> {
    let at = |path: &str| {
        let path = String::from(path);
        move |error| (path, error)
    };
    if from == to {
        // Cutting the target would lose the source.
        return Err((from.into(), Error::Exists));
    }
    let source = cx.system.open(from, OpenFlags::READ).map_err(at(from))?;
    let flags = OpenFlags::WRITE | OpenFlags::CREATE | OpenFlags::TRUNCATE;
    let target = cx.system.open(to, flags).map_err(at(to))?;
    loop {
        let length = source.read(chunk.room()).map_err(at(from))?;
        if length == 0 {
            return Ok(());
        }
        target.write_all(chunk.first(length)).map_err(at(to))?;
    }
}
