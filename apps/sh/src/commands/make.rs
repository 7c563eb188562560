//! `mkdir` and `touch`.

use crate::context::{Context, Options};
use crate::paths;
use crate::system::reason;
use crate::view;
use scheme::wire::OpenFlags;
use scheme::{Error, Result};

/// `mkdir`.
pub fn mkdir(cx: &mut Context<'_>, options: &Options<'_>) {
    for word in options.operands.iter().copied() {
        let made =
            cx.path(word)
                .and_then(|path| if options.has('p') { with_parents(cx, &path) } else { cx.system.mkdir(&path) });
        if let Err(error) = made {
            cx.complain(format_args!("cannot create directory '{word}': {}", reason(error)));
        }
    }
}

fn with_parents(cx: &mut Context<'_>, path: &str) -> Result<()> {
    if view::is_directory(cx.system, path) {
        return Ok(());
    }
    if let Some(parent) = paths::parent(path) {
        with_parents(cx, &parent)?;
    }
    match cx.system.mkdir(path) {
        // Somebody else made it meanwhile.
        Err(Error::Exists) if view::is_directory(cx.system, path) => Ok(()),
        other => other,
    }
}

/// `touch`. There is no clock of the day yet, so the times of files that are there stay as they are.
pub fn touch(cx: &mut Context<'_>, options: &Options<'_>) {
    for word in options.operands.iter().copied() {
        let done = cx.path(word).and_then(|path| match view::stat(cx.system, &path) {
            Ok(_) => Ok(()),
            Err(Error::NotFound) if options.has('c') => Ok(()),
            Err(Error::NotFound) => cx.system.open(&path, OpenFlags::WRITE | OpenFlags::CREATE).map(|_| ()),
            Err(error) => Err(error),
        });
        if let Err(error) = done {
            cx.complain(format_args!("cannot touch '{word}': {}", reason(error)));
        }
    }
}
