//! The source tree, as the project's own rules see it: crates, edges, files.
//!
//! Used by `tests/rules.rs`. Crates come from `cargo metadata`; files from walking the folders
//! of the crates, so that what no crate owns is not looked at.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::error::{Error, Result};

/// One crate of ours.
#[derive(Clone, Debug)]
pub struct Crate {
    /// Its name.
    pub name: String,
    /// Its folder, from the top of the tree: `kernel/core`.
    pub folder: String,
    /// The files cargo builds from: `lib.rs`, `main.rs`, build scripts.
    pub roots: Vec<PathBuf>,
    /// The crates of ours it depends on, by folder.
    pub depends_on: Vec<Edge>,
}

/// A dependency on another crate of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edge {
    /// The other's folder.
    pub folder: String,
    /// Whether only tests need it.
    pub for_tests: bool,
}

/// The whole tree.
#[derive(Debug)]
pub struct Workspace {
    /// Its top.
    pub root: PathBuf,
    /// Its crates.
    pub crates: Vec<Crate>,
}

impl Workspace {
    /// Reads the tree this crate is part of.
    ///
    /// # Errors
    /// When `cargo metadata` does not run or says what it should not.
    pub fn load() -> Result<Self> {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let output = Command::new(cargo)
            .args(["metadata", "--no-deps", "--format-version", "1", "--manifest-path"])
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml"))
            .output()
            .map_err(Error::host("running cargo metadata"))?;
        if !output.status.success() {
            return Err(Error::Protocol(String::from_utf8_lossy(&output.stderr).into_owned()));
        }
        let metadata: Value = serde_json::from_slice(&output.stdout)
            .map_err(|error| Error::Protocol(format!("cargo metadata: {error}")))?;
        Self::from_metadata(&metadata).ok_or_else(|| Error::Protocol("cargo metadata has another form".into()))
    }

    fn from_metadata(metadata: &Value) -> Option<Self> {
        let root = PathBuf::from(metadata.get("workspace_root")?.as_str()?);
        let folder_of = |path: &str| {
            let path = Path::new(path).strip_prefix(&root).ok()?;
            Some(path.to_str()?.to_owned())
        };
        let mut crates = Vec::new();
        for package in metadata.get("packages")?.as_array()? {
            let manifest = Path::new(package.get("manifest_path")?.as_str()?);
            let mut depends_on = Vec::new();
            for dependency in package.get("dependencies")?.as_array()? {
                // Only what has a path is ours.
                let Some(folder) = dependency.get("path").and_then(Value::as_str).and_then(folder_of) else {
                    continue;
                };
                let for_tests = dependency.get("kind").and_then(Value::as_str) == Some("dev");
                depends_on.push(Edge { folder, for_tests });
            }
            let roots = package.get("targets")?.as_array()?.iter();
            crates.push(Crate {
                name: package.get("name")?.as_str()?.to_owned(),
                folder: folder_of(manifest.parent()?.to_str()?)?,
                roots: roots.map(|t| Some(t.get("src_path")?.as_str()?.into())).collect::<Option<_>>()?,
                depends_on,
            });
        }
        Some(Self { root, crates })
    }

    /// Every Rust file under `folder`, but not in a crate nested in it when `own` is set.
    ///
    /// # Errors
    /// When a folder can't be read.
    pub fn rust_files(&self, folder: &str, own: bool) -> Result<Vec<PathBuf>> {
        let mut files = Vec::new();
        let mut folders = vec![self.root.join(folder)];
        while let Some(next) = folders.pop() {
            let listing = std::fs::read_dir(&next).map_err(Error::host(format!("listing {}", next.display())))?;
            for entry in listing {
                let path = entry.map_err(Error::host(format!("listing {}", next.display())))?.path();
                if path.is_dir() {
                    if !own || !path.join("Cargo.toml").exists() {
                        folders.push(path);
                    }
                } else if path.extension().is_some_and(|extension| extension == "rs") {
                    files.push(path);
                }
            }
        }
        files.sort();
        Ok(files)
    }

    /// Every Rust file of every crate, each with its path from the top and its text.
    ///
    /// # Errors
    /// When a file can't be read.
    pub fn sources(&self) -> Result<Vec<(String, String)>> {
        let mut sources = Vec::new();
        for one in &self.crates {
            for path in self.rust_files(&one.folder, true)? {
                let text = read(&path)?;
                sources.push((self.name_of(&path), text));
            }
        }
        Ok(sources)
    }

    /// A path from the top of the tree.
    pub fn name_of(&self, path: &Path) -> String {
        path.strip_prefix(&self.root).unwrap_or(path).display().to_string()
    }
}

/// A file's text.
///
/// # Errors
/// When it can't be read.
pub fn read(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).map_err(Error::host(format!("reading {}", path.display())))
}

/// Rust source with comments, strings and character literals blanked out, line by line as it
/// was: what is left is code. Good enough to look for a keyword; not a parser.
pub fn code_only(source: &str) -> String {
    let mut code = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(first) = rest.chars().next() {
        let blank = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            block_comment(rest)
        } else if first == '"' {
            string(rest)
        } else if rest.starts_with("r\"") || rest.starts_with("r#") {
            raw_string(rest)
        } else if first == '\'' {
            character(rest)
        } else {
            0
        };
        if blank == 0 {
            // A whole word at a time, so that the r of "for" starts no raw string.
            let word = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
            let end = word.max(first.len_utf8());
            code.push_str(&rest[..end]);
            rest = &rest[end..];
        } else {
            code.extend(rest[..blank].chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
            rest = &rest[blank..];
        }
    }
    code
}

fn block_comment(text: &str) -> usize {
    let (mut depth, mut at) = (0usize, 0);
    while at < text.len() {
        if text[at..].starts_with("/*") {
            depth += 1;
            at += 2;
        } else if text[at..].starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += text[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    text.len()
}

fn string(text: &str) -> usize {
    let mut escaped = false;
    for (at, character) in text.char_indices().skip(1) {
        match character {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

fn raw_string(text: &str) -> usize {
    let hashes = text[1..].chars().take_while(|&c| c == '#').count();
    if !text[1 + hashes..].starts_with('"') {
        return 0; // a raw identifier
    }
    let end = format!("\"{}", "#".repeat(hashes));
    let body = 2 + hashes;
    text[body..].find(&end).map_or(text.len(), |at| body + at + end.len())
}

/// The length of a character literal; 0 for a lifetime.
fn character(text: &str) -> usize {
    let mut letters = text.char_indices().skip(1);
    match letters.next() {
        Some((_, '\\')) => {
            let after = letters.next().map_or(text.len(), |(at, c)| at + c.len_utf8());
            text[after..].find('\'').map_or(text.len(), |at| after + at + 1)
        }
        Some((at, c)) if text[at + c.len_utf8()..].starts_with('\'') => at + c.len_utf8() + 1,
        _ => 0,
    }
}

/// Whether `word` stands in `code` as a word of its own.
pub fn has_word(code: &str, word: &str) -> bool {
    code.split(|c: char| !c.is_alphanumeric() && c != '_').any(|part| part == word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_code_counts_not_what_is_said_about_it() {
        let hidden = r###"// unsafe
            /* unsafe /* unsafe */ unsafe */ let a = "un\"safe unsafe"; let b = r#"unsafe " unsafe"#;
            #![deny(unsafe_code)] fn f<'unsafe_lifetime>() { ['"', '\'', '\u{41}', 'x'] } for r in 0..1 {}"###;
        let code = code_only(hidden);
        assert!(!has_word(&code, "unsafe"), "{code}");
        assert!(has_word(&code, "unsafe_code") && has_word(&code, "for") && has_word(&code, "r"));
        assert_eq!(code.lines().count(), hidden.lines().count());
        assert!(has_word(&code_only("let c = 'a'; unsafe { f('b') }"), "unsafe"));
        assert!(has_word(&code_only("let c = \"a\"; unsafe impl X for Y {}"), "unsafe"));
    }
}
