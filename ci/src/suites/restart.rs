//! The block driver killed while files are read and written: only time passes.
//!
//! The disk is slowed down, so that the driver has a request under way nearly always and both
//! jobs outlast all kills (which is checked). Twenty kills at seeded points in four rounds;
//! then the sums are right, `services` has counted each, and `fsck.fat` has nothing to say.

use std::path::Path;
use std::time::Duration;

use crate::context::{check, Verdict};
use crate::machine::Disk;
use crate::runner::{BootPlan, Session, Unit};
use crate::suites::volume::{clean, contents, holds, sums, Volume};

const VOLUME: Volume = Volume { bits: 32, size_mib: 300, cluster_sectors: 8, files: 9, large_mib: 32 };
const LARGE: &str = "the large one.bin";
const ROUNDS: u32 = 4;
const KILLS: u32 = 5;

/// Slow enough that 96 MiB of reading and writing outlast a round's kills on any host.
const BYTES_PER_SECOND: u64 = 12 << 20;

/// Ends the driver while its own counters show a request that the device has.
const KILL: &str = "app-test disk kill 1 && echo killed";

/// One boot for all rounds.
pub fn units() -> Vec<Unit> {
    let mut plan = BootPlan::new(|context, folder| {
        let image = Volume::image(folder);
        if !image.exists() {
            VOLUME.make(folder)?;
        }
        let mut machine = context.direct();
        machine.disks.push(Disk { bytes_per_second: Some(BYTES_PER_SECOND), ..Disk::new(image) });
        Ok(machine)
    });
    for round in 0..ROUNDS {
        plan = plan.case(&format!("reader and writer see nothing but time, round {}", round + 1), move |session| {
            kill_in_between(session, round)
        });
    }
    plan = plan.case("a bus manager that died too lets go of what a dead driver had pinned", bus_manager);
    let mut plan = plan
        .after("the host finds every copy whole", copies)
        .after("fsck.fat has nothing to say", |folder| clean(&Volume::image(folder)));
    plan.case_time = Duration::from_secs(240);
    vec![plan.unit("killing the block driver")]
}

/// A round's pauses before its kills, in milliseconds of the guest's time.
fn pauses(round: u32) -> Vec<u32> {
    // xorshift32: any seed but 0.
    let mut state = 0x9e37_79b9 ^ (round + 1);
    let next = |_| {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        150 + state % 250
    };
    (0..KILLS).map(next).collect()
}

fn restarts(session: &mut Session<'_>) -> Result<u32, String> {
    let text = session.expect(&["services", "virtio-blk-1"])?;
    let count = text.lines().find_map(|line| line.strip_prefix("restarts ")?.trim().parse().ok());
    count.ok_or_else(|| format!("services told no restarts:\n{text}"))
}

fn kill_in_between(session: &mut Session<'_>, round: u32) -> Verdict {
    let entries = VOLUME.entries();
    let large: Vec<_> = entries.iter().filter(|entry| entry.path == LARGE).cloned().collect();
    let want = sums(&session.folder.join("tree"), &large)?.remove(0);
    let before = restarts(session)?;
    let disk = "/disk/1/0";
    // A kill that finds the driver just being started anew is tried once more.
    let kill = |pause: &u32| format!("sleep 0.{pause:03}; sh -c '{KILL} && exit; sleep 0.4; {KILL}'");
    let kills: Vec<_> = pauses(round).iter().map(kill).collect();
    let script = format!(
        "sh -c 'sha256sum \"{disk}/{LARGE}\"; echo read' & sh -c 'cp \"{disk}/{LARGE}\" {disk}/copy-{round}; echo written' & \
         {}; wait; sync {disk}; sha256sum {disk}/copy-{round}",
        kills.join("; "),
    );
    let said = session.shell(&script)?;
    let lines: Vec<_> = said.lines().collect();
    let at = |word: &str| lines.iter().position(|line| *line == word);
    let kills = lines.iter().filter(|line| **line == "killed").count();
    check(kills == KILLS as usize, || format!("{kills} kills took place:\n{said}"))?;
    let caught = lines.iter().filter(|line| line.starts_with("outstanding ")).count();
    check(caught == kills, || format!("{caught} of {kills} kills found a request under way:\n{said}"))?;
    let last_kill = lines.iter().rposition(|line| *line == "killed");
    check(at("read") > last_kill && at("written") > last_kill, || {
        format!("a job was done before the last kill, which then showed nothing:\n{said}")
    })?;
    for path in [LARGE.to_owned(), format!("copy-{round}")] {
        let line = format!("{want}  {disk}/{path}");
        check(lines.contains(&line.as_str()), || format!("{path} has another sum:\n{said}"))?;
    }
    let counted = restarts(session)? - before;
    check(counted == KILLS, || format!("services counted {counted} restarts for {KILLS} kills"))
}

/// The bus manager is ended, then the driver: the new bus manager knows the device's view of memory by its tag.
fn bus_manager(session: &mut Session<'_>) -> Verdict {
    let entries = VOLUME.entries();
    let large: Vec<_> = entries.iter().filter(|entry| entry.path == LARGE).cloned().collect();
    let want = sums(&session.folder.join("tree"), &large)?.remove(0);
    let path = format!("/disk/1/0/{LARGE}");
    let said = session
        .shell(&format!("sh -c 'sha256sum \"{path}\"' & sleep 0.2; kill pci; sleep 0.2; {KILL}; wait; echo; dmesg"))?;
    check(said.contains(&format!("{want}  {path}")), || format!("{path} has another sum:\n{said}"))?;
    let log = said.rsplit("asked to end pci").next().unwrap_or_default();
    let released = log.lines().any(|line| line.contains(" stopped and reset"));
    check(released && !log.contains("had pinned stays"), || format!("the frames were not let go of:\n{said}"))
}

fn copies(folder: &Path) -> Verdict {
    let image = Volume::image(folder);
    let large = contents(LARGE, VOLUME.large_mib << 20);
    for round in 0..ROUNDS {
        holds(&image, &format!("copy-{round}"), &large)?;
    }
    for entry in VOLUME.entries() {
        holds(&image, &entry.path, &contents(&entry.path, entry.size))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_round_kills_at_points_of_its_own() {
        let all: std::collections::HashSet<_> = (0..ROUNDS).flat_map(pauses).collect();
        assert!(all.len() > (ROUNDS * KILLS / 2) as usize);
        assert!(all.iter().all(|pause| (150..400).contains(pause)));
    }
}
