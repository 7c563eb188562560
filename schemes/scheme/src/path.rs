//! Paths: components that cannot climb, and the POSIX views of schemes.
//!
//! Servers get paths relative to the session that was called. [`normalise`] resolves `.` and `..`
//! by the names alone and never above that session; a leading `/` means the session's own root.
//! [`resolve`] is the client's half: which scheme a path names, and the rest for its server.

use abi::{Error, Result};
use alloc::borrow::Cow;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

/// The longest path, in bytes.
pub const MAX_PATH: usize = 4096;
/// The longest component, in bytes.
pub const MAX_NAME: usize = 255;
/// The longest name of a scheme, in bytes.
pub const MAX_SCHEME: usize = 32;

/// Checks one component: not empty, no `/`, no NUL, not `.` or `..`, not too long.
/// Errors: `InvalidName`, `NameTooLong`.
pub fn check_name(name: &str) -> Result<()> {
    if name.len() > MAX_NAME {
        return Err(Error::NameTooLong);
    }
    if name.is_empty() || name == "." || name == ".." || name.bytes().any(|b| b == b'/' || b == 0) {
        return Err(Error::InvalidName);
    }
    Ok(())
}

/// The components of a path; `.` and empty ones dropped, `..` resolved without ever leaving the
/// beginning. Errors: as [`check_name`], and `NameTooLong` past [`MAX_PATH`].
pub fn components(path: &str) -> Result<Vec<&str>> {
    if path.len() > MAX_PATH {
        return Err(Error::NameTooLong);
    }
    let mut parts = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            name => {
                check_name(name)?;
                parts.push(name);
            }
        }
    }
    Ok(parts)
}

/// The path with one `/` between components and none at the ends; the root is `""`.
/// Errors: as [`components`].
pub fn normalise(path: &str) -> Result<String> {
    Ok(components(path)?.join("/"))
}

/// The path of `path` seen from `base` (already normalised): `path` cannot climb above `base`.
/// Errors: as [`components`].
pub fn join(base: &str, path: &str) -> Result<String> {
    let inner = normalise(path)?;
    let joined = match (base, inner.as_str()) {
        ("", _) => inner,
        (_, "") => base.into(),
        _ => format!("{base}/{inner}"),
    };
    if joined.len() > MAX_PATH {
        return Err(Error::NameTooLong);
    }
    Ok(joined)
}

/// Parent and last component of a normalised path; `None` for the root.
pub fn split(path: &str) -> Option<(&str, &str)> {
    if path.is_empty() {
        return None;
    }
    Some(path.rsplit_once('/').unwrap_or(("", path)))
}

/// If `path` is `prefix` or lies below it, what comes after.
pub fn below<'p>(path: &'p str, prefix: &str) -> Option<&'p str> {
    if prefix.is_empty() {
        return Some(path);
    }
    let rest = path.strip_prefix(prefix)?;
    if rest.is_empty() {
        return Some(rest);
    }
    rest.strip_prefix('/')
}

/// Whether this can be the name of a scheme: lower-case letters, digits, `-`, `_`, `.`.
pub fn is_scheme_name(name: &str) -> bool {
    let good = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_' || b == b'.';
    !name.is_empty() && name.len() <= MAX_SCHEME && name.bytes().all(good)
}

/// The scheme a path names, and the rest for its server.
///
/// `scheme:rest` is itself. Of POSIX paths, `/scheme/NAME/rest` is `NAME:rest`; `/dev/x` is `dev:x`,
/// `/proc/x` is `proc:x`; `/disk/N/P/rest` is `disk-N-P:rest` and `/disk/N` is `disk-N:`; all others are
/// `file:` with the whole path. A path that is neither has no meaning here: what a relative path is
/// relative to, only its program knows. Errors: `InvalidName`, `NameTooLong`.
pub fn resolve(path: &str) -> Result<(Cow<'_, str>, Cow<'_, str>)> {
    if path.len() > MAX_PATH {
        return Err(Error::NameTooLong);
    }
    if !path.starts_with('/') {
        return match path.split_once(':') {
            Some((scheme, rest)) if is_scheme_name(scheme) => Ok((scheme.into(), rest.into())),
            _ => Err(Error::InvalidName),
        };
    }
    let parts = components(path)?;
    let tail = |from: usize| Cow::Owned(parts.get(from..).unwrap_or(&[]).join("/"));
    let scheme: (Cow<'_, str>, Cow<'_, str>) = match parts.as_slice() {
        ["scheme", name, ..] => (Cow::Owned((*name).into()), tail(2)),
        [view @ ("dev" | "proc" | "scheme"), ..] => (Cow::Owned((*view).into()), tail(1)),
        ["disk", disk] => (Cow::Owned(format!("disk-{disk}")), tail(2)),
        ["disk", disk, part, ..] => (Cow::Owned(format!("disk-{disk}-{part}")), tail(3)),
        _ => ("file".into(), tail(0)),
    };
    if is_scheme_name(&scheme.0) {
        Ok(scheme)
    } else {
        Err(Error::InvalidName)
    }
}

#[cfg(test)]
mod tests {
    use super::{below, check_name, join, normalise, resolve, split};
    use abi::Error;
    use proptest::prelude::{prop, proptest, ProptestConfig};

    #[test]
    fn dots_and_slashes_are_resolved_and_the_root_holds() {
        assert_eq!(normalise("/a//b/./c/../d/").unwrap(), "a/b/d");
        assert_eq!(normalise("../../../etc").unwrap(), "etc");
        assert_eq!(join("home/x", "/../../etc").unwrap(), "home/x/etc");
        assert_eq!(join("home/x", "").unwrap(), "home/x");
        assert_eq!(normalise("a\0b"), Err(Error::InvalidName));
        assert_eq!(normalise(&"x".repeat(256)), Err(Error::NameTooLong));
        assert_eq!(normalise(&"x/".repeat(3000)), Err(Error::NameTooLong));
    }

    #[test]
    fn parents_and_prefixes_go_by_whole_components() {
        assert_eq!(split("a/b/c"), Some(("a/b", "c")));
        assert_eq!((split("a"), split("")), (Some(("", "a")), None));
        assert_eq!((below("a/b/c", "a/b"), below("a/bc", "a/b"), below("a/b", "a/b")), (Some("c"), None, Some("")));
    }

    #[test]
    fn posix_paths_are_views_of_schemes() {
        let all = [
            ("tcp:10.0.0.1:80", "tcp", "10.0.0.1:80"),
            ("/etc/init", "file", "etc/init"),
            ("/", "file", ""),
            ("/scheme/memory/a/b", "memory", "a/b"),
            ("/scheme", "scheme", ""),
            ("/dev/console", "dev", "console"),
            ("/disk/1/0/DIR/x", "disk-1-0", "DIR/x"),
            ("/disk/2", "disk-2", ""),
            ("/disk/../etc", "file", "etc"),
        ];
        for (path, scheme, rest) in all {
            let (s, r) = resolve(path).unwrap();
            assert_eq!((s.as_ref(), r.as_ref()), (scheme, rest), "{path}");
        }
        for bad in ["", "relative/path", "Upper:x", ":x", "/scheme/No/x", "/disk/A B/1"] {
            assert_eq!(resolve(bad), Err(Error::InvalidName), "{bad}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        #[test]
        fn no_path_leaves_its_base(parts in prop::collection::vec("(\\.|\\.\\.|[a-c]{1,2}|)", 0..12)) {
            let joined = join("base/dir", &parts.join("/")).unwrap();
            assert!(below(&joined, "base/dir").is_some());
            let inner = below(&joined, "base/dir").unwrap();
            assert!(inner.is_empty() || inner.split('/').all(|p| check_name(p).is_ok()));
            assert_eq!(normalise(&joined).unwrap(), joined);
        }
    }
}
