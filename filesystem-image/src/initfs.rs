//! The archive that travels with the kernel: `abi::initfs` says how it is laid
//! out.

use crate::error::{Context, Error, Result};
use crate::manifest::Manifest;
use crate::{strip, tree};
use abi::initfs::{entry, header, ENTRY, EXECUTABLE, HEADER};
use abi::memory::PAGE_SIZE;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// One file to be packed.
#[derive(Clone, Debug, PartialEq, Eq)]
struct File {
    executable: bool,
    data: Vec<u8>,
}

/// An archive in the making.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Packer {
    files: BTreeMap<String, File>,
}

impl Packer {
    /// Nothing yet.
    pub fn new() -> Packer {
        Packer::default()
    }

    /// Adds a file. Errors where the name is no path, or taken.
    pub fn add(&mut self, name: &str, executable: bool, data: Vec<u8>) -> Result<()> {
        let parts = name.split('/').all(|part| !part.is_empty() && part != "." && part != "..");
        if !parts || name.contains('\0') {
            return Err(Error::new(format!("'{name}' is no path for a file")));
        }
        if self.files.insert(name.to_string(), File { executable, data }).is_some() {
            return Err(Error::new(format!("{name}: there twice")));
        }
        Ok(())
    }

    /// Adds every file below `directory` as `prefix/…`. Pages for developers (`README.md`) stay out.
    pub fn add_tree(&mut self, directory: &Path, prefix: &str) -> Result<()> {
        for item in tree::walk(directory)? {
            let leaf = item.name.rsplit('/').next().unwrap_or(&item.name);
            if !item.directory && leaf != "README.md" {
                let data = fs::read(&item.path).about(item.path.display())?;
                self.add(&format!("{prefix}/{}", item.name), item.executable, data)?;
            }
        }
        Ok(())
    }

    /// Adds the manifest's programs as `bin/…`, from the first of `directories` that has each.
    /// Errors name all that are missing at once.
    pub fn add_programs(&mut self, manifest: &Manifest, directories: &[PathBuf]) -> Result<()> {
        let mut missing = Vec::new();
        for program in &manifest.programs {
            let mut places = directories.iter().map(|directory| directory.join(program.file()));
            match places.find(|place| place.is_file()) {
                Some(place) => self.add(&format!("bin/{}", program.name), true, strip::strip(&place)?)?,
                None => missing.push(program.file()),
            }
        }
        if missing.is_empty() {
            return Ok(());
        }
        let places: Vec<_> = directories.iter().map(|directory| directory.display().to_string()).collect();
        Err(Error::new(format!("not built, or not in {}: {}", places.join(", "), missing.join(", "))))
    }

    /// The archive.
    pub fn pack(&self) -> Result<Vec<u8>> {
        let mut table = Vec::new();
        let mut contents = Vec::new();
        let base = (HEADER + ENTRY * self.files.len()).next_multiple_of(PAGE_SIZE as usize);
        for (name, file) in &self.files {
            contents.resize(contents.len().next_multiple_of(PAGE_SIZE as usize), 0);
            let offset = (base + contents.len()) as u64;
            let mode = if file.executable { EXECUTABLE } else { 0 };
            table.extend(
                entry(name, mode, offset, file.data.len() as u64)
                    .map_err(|e| Error::new(format!("{e:?}")))
                    .about(name)?,
            );
            contents.extend(&file.data);
        }
        let count = u32::try_from(self.files.len()).about("the number of files")?;
        let mut out = header(count, (base + contents.len()) as u64).to_vec();
        out.extend(table);
        out.resize(base, 0);
        out.extend(contents);
        Ok(out)
    }
}

/// The archive of `root` (its `etc` and the programs of its `initfs.toml`), with programs from
/// `directories`, and `extra` files as (name, host file).
pub fn build(root: &Path, directories: &[PathBuf], extra: &[(String, PathBuf)]) -> Result<Vec<u8>> {
    let mut packer = Packer::new();
    let manifest = Manifest::read(&root.join("initfs.toml"))?;
    packer.add_tree(&root.join("etc"), "etc")?;
    packer.add_programs(&manifest, directories)?;
    for (name, path) in extra {
        packer.add(name, true, fs::read(path).about(path.display())?)?;
    }
    packer.pack()
}

#[cfg(test)]
mod tests {
    use super::Packer;
    use abi::initfs::{Archive, EXECUTABLE};

    #[test]
    fn what_is_packed_is_what_the_kernel_reads() {
        let mut packer = Packer::new();
        let files = [("etc/b", vec![1; 5000]), ("bin/init", vec![2; 4096]), ("etc/a", Vec::new()), ("z", vec![3])];
        for (name, data) in &files {
            packer.add(name, name.starts_with("bin"), data.clone()).unwrap();
        }
        let bytes = packer.pack().unwrap();
        let archive = Archive::new(&bytes).unwrap();
        assert_eq!(Archive::total_length(&bytes), Some(bytes.len() as u64));
        assert_eq!(archive.entries().map(|e| e.name).collect::<Vec<_>>(), ["bin/init", "etc/a", "etc/b", "z"]);
        for (name, data) in &files {
            let found = archive.find(name).unwrap();
            assert_eq!(found.data, data, "{name}");
            assert_eq!(found.offset % 4096, 0, "{name}");
            assert_eq!(found.mode == EXECUTABLE, name.starts_with("bin"), "{name}");
        }
    }

    #[test]
    fn an_archive_of_nothing_is_an_archive() {
        let bytes = Packer::new().pack().unwrap();
        assert!(Archive::new(&bytes).unwrap().is_empty());
    }

    #[test]
    fn names_that_are_no_paths_or_too_long_or_taken_are_refused() {
        for bad in ["", "/a", "a/", "a//b", "a/../b", "./a", "a\0"] {
            assert!(Packer::new().add(bad, false, Vec::new()).is_err(), "{bad:?}");
        }
        let mut packer = Packer::new();
        packer.add(&"n".repeat(104), false, Vec::new()).unwrap();
        packer.pack().unwrap();
        packer.add(&"n".repeat(105), false, Vec::new()).unwrap();
        assert!(packer.pack().unwrap_err().to_string().contains("NameTooLong"));
        packer.add("a", false, Vec::new()).unwrap();
        assert!(packer.add("a", false, Vec::new()).is_err());
    }
}
