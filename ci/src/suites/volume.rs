//! FAT volumes for tests: made and judged by the host's tools alone.
//!
//! `mkfs.fat`, mtools and `fsck.fat` say what a right volume is; what is in a file is a
//! function of its name, so that both sides know it without keeping it.

use std::path::{Path, PathBuf};

use crate::context::{check, path_text, tool, Verdict};

/// A volume to make.
#[derive(Clone, Copy, Debug)]
pub struct Volume {
    /// 12, 16 or 32.
    pub bits: u8,
    /// Its size.
    pub size_mib: u64,
    /// Sectors in a cluster.
    pub cluster_sectors: u8,
    /// How many small files.
    pub files: usize,
    /// Size of the one large file; none when 0.
    pub large_mib: usize,
}

/// A file's place in the volume and its size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its path from the volume's root.
    pub path: String,
    /// Its size in bytes.
    pub size: usize,
}

impl Volume {
    /// The image's path in `folder`.
    pub fn image(folder: &Path) -> PathBuf {
        folder.join("volume.img")
    }

    /// Every file: in nested folders, with long names, of sizes around the cluster's.
    pub fn entries(&self) -> Vec<Entry> {
        let cluster = usize::from(self.cluster_sectors) * 512;
        let sizes = [0, 1, 511, 512, 513, cluster - 1, cluster, cluster + 1, 3 * cluster + 7, 20_000];
        let mut entries: Vec<_> = (0..self.files)
            .map(|n| {
                let folder = match n % 4 {
                    0 => String::new(),
                    1 => format!("Folder {}/", n % 3),
                    2 => format!("Folder {}/a deeper one with a long name/", n % 3),
                    _ => format!("deep/er/and/deeper still {}/", n % 5),
                };
                // Lengths from short names to several long-name entries; case is kept.
                let tail = "long name ".repeat(n % 7);
                Entry { path: format!("{folder}File {n} {}.Data", tail.trim_end()), size: sizes[n % sizes.len()] }
            })
            .collect();
        if self.large_mib > 0 {
            entries.push(Entry { path: "the large one.bin".into(), size: self.large_mib << 20 });
        }
        entries
    }

    /// Makes the image, and the same tree as ordinary files in `folder`/tree.
    ///
    /// # Errors
    /// When a tool fails; with its words.
    pub fn make(&self, folder: &Path) -> Result<PathBuf, String> {
        // It gets its name when it is whole: a failure is not mistaken for a volume later.
        let image = folder.join("unfinished.img");
        let tree = folder.join("tree");
        for entry in self.entries() {
            let file = tree.join(&entry.path);
            let parent = file.parent().unwrap_or(&tree);
            std::fs::create_dir_all(parent)
                .and_then(|()| std::fs::write(&file, contents(&entry.path, entry.size)))
                .map_err(|error| format!("{}: {error}", file.display()))?;
        }
        self.format(&image)?;
        let mut tops: Vec<_> = std::fs::read_dir(&tree)
            .map_err(|error| format!("{}: {error}", tree.display()))?
            .flatten()
            .map(|entry| path_text(&entry.path()))
            .collect();
        tops.sort();
        let image_text = path_text(&image);
        let mut arguments = vec!["-s", "-Q", "-i", &image_text];
        arguments.extend(tops.iter().map(String::as_str));
        arguments.push("::/");
        tool("mcopy", &arguments)?;
        clean(&image)?;
        let whole = Self::image(folder);
        std::fs::rename(&image, &whole).map_err(|error| format!("{}: {error}", whole.display()))?;
        Ok(whole)
    }

    /// Makes an empty volume at `image`.
    ///
    /// # Errors
    /// When it can't be written, or `mkfs.fat` refuses the sizes.
    pub fn format(&self, image: &Path) -> Verdict {
        std::fs::File::create(image)
            .and_then(|file| file.set_len(self.size_mib << 20))
            .map_err(|error| format!("{}: {error}", image.display()))?;
        let (bits, cluster) = (self.bits.to_string(), self.cluster_sectors.to_string());
        tool("mkfs.fat", &["-F", &bits, "-s", &cluster, "-n", "TESTDISK", &path_text(image)]).map(drop)
    }
}

/// What a file named `path` holds.
pub fn contents(path: &str, size: usize) -> Vec<u8> {
    // xorshift64*, seeded by the name (FNV-1a).
    let mut state = path
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    let mut bytes = Vec::with_capacity(size + 8);
    while bytes.len() < size {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        bytes.extend(state.wrapping_mul(0x2545_f491_4f6c_dd1d).to_le_bytes());
    }
    bytes.truncate(size);
    bytes
}

/// Whether `fsck.fat` finds nothing to complain of.
///
/// # Errors
/// With its complaints.
pub fn clean(image: &Path) -> Verdict {
    let said = tool("fsck.fat", &["-n", "-v", &path_text(image)])?;
    // Some things it mends, or would, are not in its exit status.
    let worry = ["differences between boot sector", "Dirty bit is set", "Free cluster summary wrong"];
    match worry.into_iter().find(|words| said.contains(words)) {
        Some(words) => Err(format!("fsck.fat: {words}:\n{said}")),
        None => Ok(()),
    }
}

/// Whether the host finds `entry` in the image, with its contents, by mtools alone.
///
/// # Errors
/// When it is not there or differs.
pub fn holds(image: &Path, path: &str, want: &[u8]) -> Verdict {
    let output = std::process::Command::new("mcopy")
        .args(["-i", &path_text(image), &format!("::/{path}"), "-"])
        .output()
        .map_err(|error| format!("mcopy: {error}"))?;
    check(output.status.success(), || format!("{path}: {}", String::from_utf8_lossy(&output.stderr)))?;
    check(output.stdout == want, || {
        format!("{path}: {} bytes that are not the {} written", output.stdout.len(), want.len())
    })
}

/// Whether the host does not find `path` in the image.
///
/// # Errors
/// When it is there.
pub fn lacks(image: &Path, path: &str) -> Verdict {
    match tool("mdir", &["-b", "-i", &path_text(image), &format!("::/{path}")]) {
        Ok(listing) => Err(format!("{path} is still there: {listing}")),
        Err(_) => Ok(()),
    }
}

/// The SHA-256 sums of files on the host, by path below `tree`, in `sha256sum`'s own format.
///
/// # Errors
/// When the tool fails.
pub fn sums(tree: &Path, entries: &[Entry]) -> Result<Vec<String>, String> {
    let files: Vec<_> = entries.iter().map(|entry| path_text(&tree.join(&entry.path))).collect();
    let mut arguments = vec!["--"];
    arguments.extend(files.iter().map(String::as_str));
    let text = tool("sha256sum", &arguments)?;
    Ok(text.lines().filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: Volume = Volume { bits: 16, size_mib: 16, cluster_sectors: 4, files: 21, large_mib: 0 };

    #[test]
    fn a_volume_holds_what_its_entries_say_and_is_clean() {
        let folder = tempfile::tempdir().unwrap();
        let image = SMALL.make(folder.path()).unwrap();
        for entry in SMALL.entries() {
            holds(&image, &entry.path, &contents(&entry.path, entry.size)).unwrap();
        }
        assert_eq!(sums(&folder.path().join("tree"), &SMALL.entries()).unwrap().len(), 21);
        lacks(&image, "no such file").unwrap();
        assert!(lacks(&image, &SMALL.entries()[0].path).is_err());
    }

    #[test]
    fn the_judges_can_say_no() {
        let folder = tempfile::tempdir().unwrap();
        let image = SMALL.make(folder.path()).unwrap();
        let entry = &SMALL.entries()[4];
        assert!(holds(&image, &entry.path, b"something else").is_err());
        assert!(holds(&image, "no such file", b"").is_err());
        // One byte of the first FAT, past the reserved entries.
        let mut bytes = std::fs::read(&image).unwrap();
        let reserved = usize::from(u16::from_le_bytes([bytes[14], bytes[15]])) * 512;
        bytes[reserved + 4] ^= 0x55;
        std::fs::write(&image, bytes).unwrap();
        assert!(clean(&image).is_err());
    }

    #[test]
    fn names_are_distinct_without_regard_to_case() {
        let volume = Volume { files: 200, ..SMALL };
        let names: std::collections::HashSet<_> =
            volume.entries().iter().map(|entry| entry.path.to_lowercase()).collect();
        assert_eq!(names.len(), 200);
        assert_eq!(contents("a", 13).len(), 13);
        assert_ne!(contents("a", 64), contents("b", 64));
    }
}
