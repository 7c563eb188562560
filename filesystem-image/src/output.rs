//! Output files that appear whole or not at all.

use crate::error::{Context, Result};
use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use tempfile::NamedTempFile;

/// A file in the making, beside the one it will replace. Dropped unfinished, it leaves no trace.
#[derive(Debug)]
pub struct Output {
    file: NamedTempFile,
    target: PathBuf,
}

impl Output {
    /// Starts to write what will become `target`. Makes its directory.
    pub fn new(target: &Path) -> Result<Output> {
        // In the same directory, because renaming replaces at once only within one file system.
        let directory = match target.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        fs::create_dir_all(directory).about(directory.display())?;
        let file = NamedTempFile::new_in(directory).about(directory.display())?;
        Ok(Output { file, target: target.to_path_buf() })
    }

    /// The open file.
    pub fn file(&mut self) -> &mut File {
        self.file.as_file_mut()
    }

    /// Where it is for now.
    pub fn path(&self) -> &Path {
        self.file.path()
    }

    /// Puts it in its place.
    pub fn finish(self) -> Result<()> {
        self.file.as_file().set_permissions(Permissions::from_mode(0o644)).about(self.target.display())?;
        self.file.persist(&self.target).map_err(|e| e.error).about(self.target.display())?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::Output;
    use std::fs;
    use std::io::Write;

    #[test]
    fn the_target_changes_only_when_finished_and_nothing_else_is_left() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("new/out");
        for (text, finish, expected) in [("one", true, "one"), ("two", false, "one"), ("three", true, "three")] {
            let mut output = Output::new(&target).unwrap();
            output.file().write_all(text.as_bytes()).unwrap();
            if finish {
                output.finish().unwrap();
            } else {
                drop(output);
            }
            assert_eq!(fs::read_to_string(&target).unwrap(), expected);
            assert_eq!(fs::read_dir(target.parent().unwrap()).unwrap().count(), 1);
        }
    }
}
