//! `rm` and `rmdir`.

use crate::commands::copy::DEEPEST;
use crate::context::{Context, Options};
use crate::paths;
use crate::system::reason;
use crate::view;
use scheme::stat::FileKind;
use scheme::Error;

/// `rm`.
pub fn rm(cx: &mut Context<'_>, options: &Options<'_>) {
    let (deep, force) = (options.has('r') || options.has('R'), options.has('f'));
    if options.operands.is_empty() && !force {
        cx.complain(format_args!("missing operand"));
        cx.status = 2;
    }
    for word in options.operands.iter().copied() {
        let name = word.trim_end_matches('/').rsplit('/').next().unwrap_or(word);
        if name == "." || name == ".." {
            cx.complain(format_args!("refusing to remove '.' or '..' directory: skipping '{word}'"));
            continue;
        }
        let path = match cx.path(word) {
            Ok(path) => path,
            Err(Error::NotFound) if force => continue,
            Err(error) => {
                cx.fail(word, error);
                continue;
            }
        };
        if paths::parent(&path).is_none() {
            cx.complain(format_args!("it is dangerous to operate on '{word}': skipping"));
            continue;
        }
        match view::stat(cx.system, &path) {
            Err(Error::NotFound) if force => {}
            Err(error) => cx.complain(format_args!("cannot remove '{word}': {}", reason(error))),
            Ok(stat) if stat.kind == FileKind::Directory && !deep => {
                cx.complain(format_args!("cannot remove '{word}': {}", reason(Error::IsDirectory)));
            }
            Ok(_) => remove_tree(cx, &path, 0),
        }
    }
}

/// Removes a path and all below it; complains about what stays.
pub fn remove_tree(cx: &mut Context<'_>, path: &str, depth: usize) {
    let is_directory = view::is_directory(cx.system, path);
    if is_directory {
        if depth > DEEPEST {
            return cx.complain(format_args!("{path}: directories are nested too deep"));
        }
        let entries = view::list(cx.system, path);
        for entry in cx.check(path, entries).unwrap_or_default() {
            remove_tree(cx, &paths::join(path, &entry.name), depth + 1);
        }
    }
    if let Err(error) = cx.system.unlink(path, is_directory) {
        cx.complain(format_args!("cannot remove '{path}': {}", reason(error)));
    }
}

/// `rmdir`.
pub fn rmdir(cx: &mut Context<'_>, options: &Options<'_>) {
    for word in options.operands.iter().copied() {
        let removed = cx.path(word).and_then(|path| cx.system.unlink(&path, true));
        if let Err(error) = removed {
            cx.complain(format_args!("failed to remove '{word}': {}", reason(error)));
        }
    }
}
