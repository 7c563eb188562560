//! Paths as the shell sees them: from a working directory to `/a/b` or
//! `scheme:a/b`.
//!
//! A word with a scheme's name before its first `:` and no `/` before that is a scheme's path; `./a:b` is a file
//! whose name holds a colon.

use alloc::string::String;
use scheme::path::{is_scheme_name, normalise};
use scheme::{Error, Result};

/// The scheme's name and the rest, if a path names its scheme.
pub fn of_scheme(path: &str) -> Option<(&str, &str)> {
    path.split_once(':').filter(|(scheme, _)| is_scheme_name(scheme))
}

/// The beginning of an absolute path that no `..` climbs over: `/` or `scheme:`.
fn root(path: &str) -> (String, &str) {
    match of_scheme(path) {
        Some((scheme, rest)) => ([scheme, ":"].concat(), rest),
        None => ("/".into(), path),
    }
}

/// `path` seen from the directory `cwd` (which is absolute). Errors: `NotFound` for the empty path, `NameTooLong`, `InvalidName`.
pub fn absolute(cwd: &str, path: &str) -> Result<String> {
    if path.is_empty() {
        return Err(Error::NotFound);
    }
    let is_whole = path.starts_with('/') || of_scheme(path).is_some();
    let (mut all, rest) = root(if is_whole { path } else { cwd });
    let inner = if is_whole { normalise(rest)? } else { normalise(&[rest, "/", path].concat())? };
    all.push_str(&inner);
    Ok(all)
}

/// A name in a directory.
pub fn join(directory: &str, name: &str) -> String {
    let glue = if directory.is_empty() || directory.ends_with('/') || directory.ends_with(':') { "" } else { "/" };
    [directory, glue, name].concat()
}

/// The last component; the path itself where it is a root.
pub fn last(path: &str) -> &str {
    let trimmed = path.trim_end_matches('/');
    let name = trimmed.rsplit('/').next().unwrap_or(trimmed);
    let name = match of_scheme(name) {
        Some((_, rest)) if !rest.is_empty() => rest,
        _ => name,
    };
    if name.is_empty() {
        path
    } else {
        name
    }
}

/// The directory that holds an absolute path; `None` for a root.
pub fn parent(path: &str) -> Option<String> {
    let (root, rest) = root(path);
    let rest = rest.trim_start_matches('/');
    if rest.is_empty() {
        return None;
    }
    let above = rest.rsplit_once('/').map_or("", |(above, _)| above);
    Some([root.as_str(), above].concat())
}

/// Whether `path` is `directory` or lies below it; both absolute.
pub fn is_below(path: &str, directory: &str) -> bool {
    match path.strip_prefix(directory) {
        Some(rest) => rest.is_empty() || rest.starts_with('/') || directory.ends_with(['/', ':']),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::{absolute, is_below, join, last, parent};
    use scheme::Error;

    #[test]
    fn relative_paths_go_from_the_working_directory() {
        for (cwd, path, whole) in [
            ("/", "a", "/a"),
            ("/a/b", "../c/./d", "/a/c/d"),
            ("/a", "/x//y/", "/x/y"),
            ("/a", "../../..", "/"),
            ("memory:a", "b", "memory:a/b"),
            ("memory:a", "../..", "memory:"),
            ("memory:a", "/b", "/b"),
            ("/a", "memory:b/../c", "memory:c"),
            ("/a", "./m:b", "/a/m:b"),
            ("/a", ".", "/a"),
        ] {
            assert_eq!(absolute(cwd, path).unwrap(), whole, "{cwd} {path}");
        }
        assert_eq!(absolute("/", ""), Err(Error::NotFound));
    }

    #[test]
    fn names_are_taken_apart_and_put_together() {
        assert_eq!((last("/a/b/"), last("a"), last("m:x"), last("/"), last("m:")), ("b", "a", "x", "/", "m:"));
        assert_eq!((parent("/a/b").as_deref(), parent("/a").as_deref(), parent("/")), (Some("/a"), Some("/"), None));
        assert_eq!(
            (parent("m:a/b").as_deref(), parent("m:a").as_deref(), parent("m:")),
            (Some("m:a"), Some("m:"), None)
        );
        assert_eq!([join("/", "a"), join("m:", "a"), join("/b", "a")], ["/a", "m:a", "/b/a"]);
        assert!(is_below("/a/b", "/a") && is_below("/a", "/a") && is_below("m:a", "m:") && is_below("/a", "/"));
        assert!(!is_below("/ab", "/a"));
    }
}
