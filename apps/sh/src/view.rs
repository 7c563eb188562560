//! Directories that no server serves: `/disk`, `/disk/N`, `/scheme` and
//! `scheme:`.
//!
//! They show the schemes in the namespace under the names people use. What lies below a disk's partition or
//! a scheme's name is the server's.

use crate::system::System;
use alloc::collections::BTreeSet;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use scheme::entry::DirEntry;
use scheme::stat::{FileKind, Stat};
use scheme::{Error, Result};

/// Disk and partition of a scheme that serves a disk's files: `disk-N-P`.
pub fn disk_of(scheme: &str) -> Option<(u32, u32)> {
    let (disk, part) = scheme.strip_prefix("disk-")?.split_once('-')?;
    Some((disk.parse().ok()?, part.parse().ok()?))
}

/// Where a scheme's files appear among POSIX paths, where they do.
pub fn place_of(scheme: &str) -> Option<String> {
    if scheme == "file" {
        return Some("/".into());
    }
    disk_of(scheme).map(|(disk, part)| alloc::format!("/disk/{disk}/{part}"))
}

fn directories(names: impl IntoIterator<Item = String>) -> Vec<DirEntry> {
    let entry = |name| DirEntry { name, kind: FileKind::Directory, size: 0, id: 0 };
    names.into_iter().map(entry).collect()
}

/// The names in one of our directories; `None` where the path is a server's.
fn names(system: &mut dyn System, path: &str) -> Option<Result<BTreeSet<String>>> {
    let wanted = match path {
        "scheme:" | "/scheme" => None,
        "/disk" => Some(None),
        _ => match path.strip_prefix("/disk/")?.parse::<u32>() {
            Ok(disk) => Some(Some(disk)),
            Err(_) => return None,
        },
    };
    let schemes = match system.schemes() {
        Ok(schemes) => schemes,
        Err(error) => return Some(Err(error)),
    };
    let found: BTreeSet<String> = match wanted {
        None => schemes.into_iter().collect(),
        Some(None) => schemes.iter().filter_map(|s| disk_of(s)).map(|(disk, _)| disk.to_string()).collect(),
        Some(Some(disk)) => {
            let of_disk = schemes.iter().filter_map(|s| disk_of(s)).filter(|(d, _)| *d == disk);
            of_disk.map(|(_, part)| part.to_string()).collect()
        }
    };
    if found.is_empty() && path.starts_with("/disk/") {
        return Some(Err(Error::NotFound));
    }
    Some(Ok(found))
}

/// A directory's entries, by name. Errors: the server's.
pub fn list(system: &mut dyn System, path: &str) -> Result<Vec<DirEntry>> {
    let mut entries = match names(system, path) {
        Some(names) => directories(names?),
        None => system.list(path)?,
    };
    if path == "/" {
        let has = |entries: &[DirEntry], name: &str| entries.iter().any(|e| e.name == name);
        let with_disks = system.schemes().unwrap_or_default().iter().any(|s| disk_of(s).is_some());
        for (name, shown) in [("disk", with_disks), ("scheme", true)] {
            if shown && !has(&entries, name) {
                entries.extend(directories([name.to_string()]));
            }
        }
    }
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(entries)
}

/// What a path leads to. Errors: the server's.
pub fn stat(system: &mut dyn System, path: &str) -> Result<Stat> {
    match names(system, path) {
        Some(found) => {
            found.map(|_| Stat { kind: FileKind::Directory, permissions: 0o555, links: 1, ..Stat::default() })
        }
        None => system.stat(path),
    }
}

/// Whether a path leads to a directory.
pub fn is_directory(system: &mut dyn System, path: &str) -> bool {
    stat(system, path).is_ok_and(|stat| stat.kind == FileKind::Directory)
}
