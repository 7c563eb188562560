//! `mount`, `df`, `sync`: the file systems there are.

use crate::context::{Context, Options};
use crate::system::reason;
use crate::view;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write;
use scheme::stat::Space;
use scheme::Error;

/// A scheme that keeps files, with what it says of its space.
struct Volume {
    scheme: String,
    place: String,
    space: Space,
}

/// The schemes that have a medium. One that does not answer is told of, and left out.
fn volumes(cx: &mut Context<'_>) -> Vec<Volume> {
    let schemes = match cx.system.schemes() {
        Ok(schemes) => schemes,
        Err(error) => {
            cx.complain(format_args!("schemes can't be listed: {}", reason(error)));
            return Vec::new();
        }
    };
    let mut found = Vec::new();
    // A disk's blocks and its partitions tell their space too, but keep no files.
    let keeps_files = |scheme: &String| !scheme.starts_with("block-") && !scheme.starts_with("part-");
    for scheme in schemes.into_iter().filter(keeps_files) {
        let root = [scheme.as_str(), ":"].concat();
        match cx.system.space(&root) {
            Ok(space) => {
                let place = view::place_of(&scheme).unwrap_or(root);
                found.push(Volume { scheme, place, space });
            }
            Err(Error::NotSupported) => {}
            Err(error) => cx.fail(&root, error),
        }
    }
    found.sort_by(|a, b| a.place.cmp(&b.place));
    found
}

/// `mount`.
pub fn mount(cx: &mut Context<'_>, _: &Options<'_>) {
    for Volume { scheme, place, space } in volumes(cx) {
        let access = if space.read_only { "ro" } else { "rw" };
        let _ = writeln!(
            cx.out,
            "{scheme}: on {place} ({access}, blocks of {}, names to {})",
            space.block_size, space.longest_name
        );
    }
}

/// `df`.
pub fn df(cx: &mut Context<'_>, options: &Options<'_>) {
    let rows: Vec<(String, String, Space)> = if options.operands.is_empty() {
        volumes(cx).into_iter().map(|v| (format!("{}:", v.scheme), v.place, v.space)).collect()
    } else {
        let mut rows = Vec::new();
        for word in options.operands.iter().copied() {
            let space = cx.path(word).and_then(|path| cx.system.space(&path));
            if let Some(space) = cx.check(word, space) {
                rows.push((word.into(), word.into(), space));
            }
        }
        rows
    };
    let _ = writeln!(
        cx.out,
        "{:<16} {:>10} {:>10} {:>10} {:>4} Mounted on",
        "Filesystem", "1K-blocks", "Used", "Available", "Use%"
    );
    for (name, place, space) in rows {
        let used = space.total.saturating_sub(space.free);
        // As POSIX asks: rounded up, of what there is for use.
        let percent = (used / 1024 * 100).div_ceil((space.total / 1024).max(1));
        let _ = writeln!(
            cx.out,
            "{name:<16} {:>10} {:>10} {:>10} {percent:>3}% {place}",
            space.total / 1024,
            used / 1024,
            space.free / 1024
        );
    }
}

/// `sync`.
pub fn sync(cx: &mut Context<'_>, options: &Options<'_>) {
    if options.operands.is_empty() {
        for volume in volumes(cx) {
            let root = [volume.scheme.as_str(), ":"].concat();
            let done = cx.system.sync(&root);
            cx.check(&root, done);
        }
        return;
    }
    for word in options.operands.iter().copied() {
        let done = cx.path(word).and_then(|path| cx.system.sync(&path));
        cx.check(word, done);
    }
}
