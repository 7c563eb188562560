//! What is in a directory on the host, in an order that does not depend on the
//! host.

use crate::error::{Context, Error, Result};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// A file or a directory below the root of a walk.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Item {
    /// The path below the root, with `/` between the parts.
    pub name: String,
    /// Where it is on the host.
    pub path: PathBuf,
    /// Whether it is a directory.
    pub directory: bool,
    /// Whether the host may execute it.
    pub executable: bool,
}

fn walk_into(path: &Path, prefix: &str, out: &mut Vec<Item>) -> Result<()> {
    for entry in fs::read_dir(path).about(path.display())? {
        let entry = entry.about(path.display())?;
        let path = entry.path();
        let part = entry.file_name();
        let part = part.to_str().ok_or_else(|| Error::new(format!("{}: the name is not UTF-8", path.display())))?;
        let name = format!("{prefix}{part}");
        // Follows links: what counts is what they lead to.
        let about = fs::metadata(&path).about(path.display())?;
        if !about.is_dir() && !about.is_file() {
            return Err(Error::new(format!("{}: neither a file nor a directory", path.display())));
        }
        let directory = about.is_dir();
        let executable = !directory && about.permissions().mode() & 0o111 != 0;
        out.push(Item { name: name.clone(), path: path.clone(), directory, executable });
        if directory {
            walk_into(&path, &format!("{name}/"), out)?;
        }
    }
    Ok(())
}

/// Everything below `root`, sorted by name, so that a directory comes before what is in it.
/// Empty where there is no `root`.
pub fn walk(root: &Path) -> Result<Vec<Item>> {
    let mut out = Vec::new();
    if root.exists() {
        walk_into(root, "", &mut out)?;
    }
    out.sort();
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::walk;
    use std::fs;
    use std::os::unix::fs::symlink;

    #[test]
    fn a_walk_is_sorted_and_parents_come_first() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("b/c")).unwrap();
        for name in ["b/c/z", "b/a", "a.txt"] {
            fs::write(dir.path().join(name), name).unwrap();
        }
        let names: Vec<_> = walk(dir.path()).unwrap().into_iter().map(|item| (item.name, item.directory)).collect();
        let expected = [("a.txt", false), ("b", true), ("b/a", false), ("b/c", true), ("b/c/z", false)];
        assert_eq!(names, expected.map(|(name, directory)| (name.to_string(), directory)));
        assert!(walk(&dir.path().join("nowhere")).unwrap().is_empty());
    }

    #[test]
    fn a_dangling_link_is_an_error_that_names_it() {
        let dir = tempfile::tempdir().unwrap();
        symlink("nowhere", dir.path().join("link")).unwrap();
        assert!(walk(dir.path()).unwrap_err().to_string().contains("link"));
    }
}
