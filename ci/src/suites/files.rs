//! FAT volumes read and written inside, judged by the host's tools.
//!
//! A volume made by `mkfs.fat` and mtools is attached; inside, every file's SHA-256 must be the
//! host's; what is written, renamed and removed inside must be found right by mtools, and
//! `fsck.fat -n` must have nothing to say.

use std::path::Path;
use std::time::Duration;

use crate::context::{check, Verdict};
use crate::machine::Disk;
use crate::runner::{BootPlan, Session, Unit};
use crate::suites::volume::{clean, contents, holds, lacks, sums, Volume};

const VOLUMES: [(&str, Volume); 4] = [
    (
        "FAT32 with 200 files and one of 32 MiB",
        Volume { bits: 32, size_mib: 300, cluster_sectors: 8, files: 200, large_mib: 32 },
    ),
    ("FAT12", Volume { bits: 12, size_mib: 8, cluster_sectors: 8, files: 60, large_mib: 0 }),
    ("FAT16", Volume { bits: 16, size_mib: 64, cluster_sectors: 4, files: 120, large_mib: 8 }),
    ("FAT32 of 64 MiB", Volume { bits: 32, size_mib: 64, cluster_sectors: 1, files: 120, large_mib: 8 }),
];

/// Where the first disk's volume is, inside.
const ROOT: &str = "/disk/1/0";

/// How many files `sha256sum` is given at once.
const BATCH: usize = 25;

/// One boot a kind of volume.
pub fn units() -> Vec<Unit> {
    VOLUMES.into_iter().map(|(name, volume)| plan(volume).unit(name)).collect()
}

fn plan(volume: Volume) -> BootPlan {
    let mut plan = BootPlan::new(move |context, folder| {
        // A machine that is booted anew goes on with the volume as it is.
        let image = Volume::image(folder);
        if !image.exists() {
            volume.make(folder)?;
        }
        let mut machine = context.direct();
        machine.disks.push(Disk::new(image));
        Ok(machine)
    })
    .case("every file's sum is the host's", move |session| every_sum(session, volume))
    .case("copying, renaming, removing, making folders and appending work", change)
    .after("the host finds every change", changes)
    .after("fsck.fat has nothing to say", |folder| clean(&Volume::image(folder)))
    .after("what was not touched is unchanged", move |folder| untouched(folder, volume));
    // Hashing 32 MiB with soft floats' integer code under emulation takes its time.
    plan.case_time = Duration::from_secs(240);
    plan
}

fn every_sum(session: &mut Session<'_>, volume: Volume) -> Verdict {
    let entries = volume.entries();
    let want = sums(&session.folder.join("tree"), &entries)?;
    for (entries, want) in entries.chunks(BATCH).zip(want.chunks(BATCH)) {
        let paths: Vec<_> = entries.iter().map(|entry| format!("{ROOT}/{}", entry.path)).collect();
        let mut argv = vec!["sha256sum"];
        argv.extend(paths.iter().map(String::as_str));
        let text = session.expect(&argv)?;
        let got: Vec<_> = text.lines().filter_map(|line| line.split_once("  ")).collect();
        check(got.len() == paths.len(), || format!("{} sums for {} files:\n{text}", got.len(), paths.len()))?;
        for ((sum, name), (path, want)) in got.into_iter().zip(paths.iter().zip(want)) {
            check(name == path && sum == want, || format!("{path}: {sum} ({name}), and the host says {want}"))?;
        }
    }
    Ok(())
}

/// The files that [`change`] works on, of those every volume has.
const KEPT: &str = "Folder 1/File 1 long name.Data";
const MOVED: &str = "File 8 long name.Data";

fn change(session: &mut Session<'_>) -> Verdict {
    session.expect(&["mkdir", &format!("{ROOT}/A New Folder")])?;
    session.expect(&["cp", &format!("{ROOT}/{KEPT}"), &format!("{ROOT}/A New Folder/a copy with a long name.txt")])?;
    session.expect(&["mv", &format!("{ROOT}/{MOVED}"), &format!("{ROOT}/A New Folder/moved.x")])?;
    session.expect(&["rm", &format!("{ROOT}/File 4 long name long name long name long name.Data")])?;
    session.shell(&format!("echo one > '{ROOT}/written.txt'; echo two >> '{ROOT}/written.txt'"))?;
    session.shell(&format!("echo gone > '{ROOT}/short lived'; rm '{ROOT}/short lived'"))?;
    let read = session.expect(&["cat", &format!("{ROOT}/written.txt")])?;
    check(read == "one\ntwo\n", || format!("read back {read:?}"))
}

fn changes(folder: &Path) -> Verdict {
    let image = Volume::image(folder);
    let size_of = |path: &str| {
        let about = std::fs::metadata(folder.join("tree").join(path));
        about.map(|about| about.len() as usize).map_err(|error| format!("{path}: {error}"))
    };
    let (kept, moved) = (size_of(KEPT)?, size_of(MOVED)?);
    holds(&image, "A New Folder/a copy with a long name.txt", &contents(KEPT, kept))?;
    holds(&image, "A New Folder/moved.x", &contents(MOVED, moved))?;
    holds(&image, "written.txt", b"one\ntwo\n")?;
    lacks(&image, MOVED)?;
    lacks(&image, "File 4 long name long name long name long name.Data")?;
    lacks(&image, "short lived")
}

fn untouched(folder: &Path, volume: Volume) -> Verdict {
    let image = Volume::image(folder);
    let changed = [MOVED, "File 4 long name long name long name long name.Data"];
    for entry in volume.entries().iter().filter(|entry| !changed.contains(&entry.path.as_str())) {
        holds(&image, &entry.path, &contents(&entry.path, entry.size))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_volume_has_the_files_the_changes_need() {
        for (name, volume) in VOLUMES {
            let entries = volume.entries();
            for path in [KEPT, MOVED, "File 4 long name long name long name long name.Data"] {
                assert!(entries.iter().any(|entry| entry.path == path), "{name}: {path}");
            }
        }
    }

    #[test]
    fn every_volume_can_be_made() {
        for (name, volume) in VOLUMES {
            let folder = tempfile::tempdir().unwrap();
            volume.make(folder.path()).unwrap_or_else(|error| panic!("{name}: {error}"));
            untouched(folder.path(), volume).unwrap_or_else(|error| panic!("{name}: {error}"));
        }
    }
}
