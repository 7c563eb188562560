//! Broken disks cost nobody but themselves: an error, never a hang or a death.
//!
//! All broken disks hang on one machine, beside a sound one that has to stay readable
//! throughout; no service may have restarted at the end.

use std::path::{Path, PathBuf};

use crate::context::{check, Verdict};
use crate::machine::Disk;
use crate::runner::{BootPlan, Session, Unit};
use crate::suites::volume::{contents, Volume};

const VOLUME: Volume = Volume { bits: 16, size_mib: 8, cluster_sectors: 1, files: 13, large_mib: 0 };

/// What is done to a sound image.
type Harm = fn(&mut Vec<u8>);

const HARMS: [(&str, Harm); 6] = [
    ("an image cut off after its boot sector", |image| image.truncate(512)),
    ("an image cut off in its middle", |image| image.truncate(image.len() / 2 / 512 * 512)),
    ("a boot sector of garbage", |image| image[..512].copy_from_slice(&contents("garbage", 512))),
    ("a boot sector that divides by nothing", |image| {
        image[11..14].fill(0); // bytes in a sector, sectors in a cluster
    }),
    ("a chain that loops", |image| set_chain(image, |first| first)),
    ("an entry that points outside", |image| set_chain(image, |_| 0xfff0 - 1)),
];

/// The file whose chain is broken: more than one cluster, in the root, with a short path.
const VICTIM: &str = "File 8 long name.Data";

/// One boot for all.
pub fn units() -> Vec<Unit> {
    let plan = BootPlan::new(|context, folder| {
        let sound = folder.join("volume.img");
        if !sound.exists() {
            VOLUME.make(folder)?;
            break_all(folder, &sound)?;
        }
        let mut machine = context.direct();
        machine.disks.push(Disk::new(sound));
        machine.disks.extend((0..HARMS.len()).map(|n| Disk::new(broken(folder, n))));
        Ok(machine)
    });
    let plan = HARMS.iter().enumerate().fold(plan, |plan, (n, (name, _))| {
        // Disk 1 is the sound one.
        plan.case(name, move |session| reads_as_error(session, n + 2))
    });
    vec![plan.case("no service has died of it", no_restart).unit("a broken disk")]
}

fn broken(folder: &Path, number: usize) -> PathBuf {
    folder.join(format!("broken-{number}.img"))
}

fn break_all(folder: &Path, sound: &Path) -> Verdict {
    let image = std::fs::read(sound).map_err(|error| error.to_string())?;
    for (number, (_, harm)) in HARMS.iter().enumerate() {
        let mut image = image.clone();
        harm(&mut image);
        std::fs::write(broken(folder, number), image).map_err(|error| error.to_string())?;
    }
    Ok(())
}

/// Points the second cluster of the victim's chain (FAT16) to what `next` makes of the first.
fn set_chain(image: &mut [u8], next: fn(u16) -> u16) {
    let word = |image: &[u8], at: usize| u16::from_le_bytes([image[at], image[at + 1]]);
    let (reserved, fats, roots, fat_sectors) =
        (word(image, 14), usize::from(image[16]), word(image, 17), word(image, 22));
    let fat = usize::from(reserved) * 512;
    let root = fat + fats * usize::from(fat_sectors) * 512;
    // The short entry behind the long ones; mtools' short name begins with the first letters.
    let entry = (0..usize::from(roots))
        .map(|n| root + n * 32)
        .find(|&at| image[at..].starts_with(b"FILE8~1") || image[at..].starts_with(b"FILE8L~1"))
        .expect("mtools' short name of the victim");
    let first = word(image, entry + 26);
    for copy in 0..fats {
        let slot = fat + copy * usize::from(fat_sectors) * 512 + usize::from(first) * 2;
        image[slot..slot + 2].copy_from_slice(&next(first).to_le_bytes());
    }
}

/// The victim can't be read whole (an error, in time), and the sound disk still can.
fn reads_as_error(session: &mut Session<'_>, disk: usize) -> Verdict {
    let outcome = session.run(&["cat", &format!("/disk/{disk}/0/{VICTIM}")])?;
    check(outcome.status != 0, || format!("read {} bytes without an error", outcome.output.len()))?;
    check(!outcome.errors.is_empty(), || "the error was not told".into())?;
    let size = VOLUME.entries().iter().find(|entry| entry.path == VICTIM).map_or(0, |entry| entry.size);
    let sound = session.run(&["cat", &format!("/disk/1/0/{VICTIM}")])?;
    check(sound.status == 0 && sound.output == contents(VICTIM, size), || {
        format!("the sound disk suffered: status {}, {} bytes", sound.status, sound.output.len())
    })
}

/// `services` shows a count of restarts in the column of that name.
fn no_restart(session: &mut Session<'_>) -> Verdict {
    let text = session.expect(&["services"])?;
    let mut lines = text.lines();
    let head = lines.next().unwrap_or_default().to_lowercase();
    let column = head
        .split_whitespace()
        .position(|word| word == "restarts")
        .ok_or_else(|| format!("services shows no restarts:\n{text}"))?;
    for line in lines {
        let count = line.split_whitespace().nth(column).unwrap_or_default();
        check(count == "0", || format!("a service restarted: {line}"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::suites::volume::{clean, holds};

    #[test]
    fn every_harm_does_harm() {
        let folder = tempfile::tempdir().unwrap();
        let sound = VOLUME.make(folder.path()).unwrap();
        let size = VOLUME.entries().iter().find(|entry| entry.path == VICTIM).unwrap().size;
        assert!(size > 512, "the victim has one cluster only");
        holds(&sound, VICTIM, &contents(VICTIM, size)).unwrap();
        break_all(folder.path(), &sound).unwrap();
        for (number, (name, _)) in HARMS.iter().enumerate() {
            assert!(clean(&broken(folder.path(), number)).is_err(), "{name}: fsck.fat sees nothing wrong");
        }
    }
}
