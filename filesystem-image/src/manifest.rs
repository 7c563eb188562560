//! `initfs.toml`: which programs travel with the kernel.
//!
//! ```toml
//! [[program]]
//! name = "init"          # becomes bin/init
//! file = "init"          # what it is called where it was built; the name, unless told otherwise
//! ```

use crate::error::{Context, Error, Result};
use serde::Deserialize;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// One program.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Program {
    /// Its name below `bin/`.
    pub name: String,
    /// Its file's name where it was built, where that differs.
    pub file: Option<String>,
}

impl Program {
    /// The name of the file it is built as.
    pub fn file(&self) -> &str {
        self.file.as_deref().unwrap_or(&self.name)
    }
}

/// The whole file.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The programs.
    #[serde(default, rename = "program")]
    pub programs: Vec<Program>,
}

impl Manifest {
    /// Reads the text. Errors: what the parser says, names that are no names, a name twice.
    pub fn parse(text: &str) -> Result<Manifest> {
        let manifest: Manifest = toml::from_str(text).map_err(|e| Error::new(e.to_string()))?;
        let mut seen = BTreeSet::new();
        for program in &manifest.programs {
            for name in [program.name.as_str(), program.file()] {
                if name.is_empty() || name == "." || name == ".." || name.contains(['/', '\0']) {
                    return Err(Error::new(format!("'{name}' is no name for a program")));
                }
            }
            if !seen.insert(&program.name) {
                return Err(Error::new(format!("'{}' is listed twice", program.name)));
            }
        }
        Ok(manifest)
    }

    /// Reads the file.
    pub fn read(path: &Path) -> Result<Manifest> {
        Manifest::parse(&fs::read_to_string(path).about(path.display())?).about(path.display())
    }
}

#[cfg(test)]
mod tests {
    use super::Manifest;

    #[test]
    fn programs_are_read_in_order_with_their_files() {
        let text = "[[program]]\nname = \"init\"\n\n[[program]]\nname = \"test\"\nfile = \"app-test\"\n";
        let manifest = Manifest::parse(text).unwrap();
        let found: Vec<_> = manifest.programs.iter().map(|p| (p.name.as_str(), p.file())).collect();
        assert_eq!(found, [("init", "init"), ("test", "app-test")]);
        assert!(Manifest::parse("").unwrap().programs.is_empty());
    }

    #[test]
    fn mistakes_are_named() {
        for (text, word) in [
            ("[[program]]\nname = \"a/b\"", "a/b"),
            ("[[program]]\nname = \"a\"\nfile = \"..\"", "'..'"),
            ("[[program]]\nname = \"a\"\n[[program]]\nname = \"a\"", "twice"),
            ("[[program]]\nnme = \"a\"", "nme"),
            ("[[programs]]\nname = \"a\"", "programs"),
        ] {
            let message = Manifest::parse(text).unwrap_err().to_string();
            assert!(message.contains(word), "{text}: {message}");
        }
    }
}
