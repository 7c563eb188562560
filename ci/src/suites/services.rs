//! What each service holds and sees, compared with its manifest.
//!
//! Nothing may be missing and nothing may be there beyond it. The manifests are read from the source tree, what is held from `caps` and what is seen from
//! `services`, inside. A grant is compared by kind, by its range of ports, and for logs and
//! memory by its access; rights over the capability itself (to derive, to pass on) are init's.

use std::collections::BTreeMap;
use std::path::Path;

use toml::{Table, Value};

use crate::context::{check, Context, Verdict};
use crate::machine::Disk;
use crate::runner::{BootPlan, Session, Unit};
use crate::suites::volume::Volume;

const VOLUME: Volume = Volume { bits: 12, size_mib: 2, cluster_sectors: 1, files: 1, large_mib: 0 };

/// Where `caps` says that init handed something out.
const FROM_INIT: &str = "process 2";

/// One boot, with a disk, so that the templates run too.
pub fn units() -> Vec<Unit> {
    let plan = BootPlan::new(|context, folder| {
        let image = Volume::image(folder);
        VOLUME.format(&image)?;
        let mut machine = context.direct();
        machine.disks.push(Disk::new(image));
        Ok(machine)
    })
    .case("each holds what its manifest gives it and no more", holdings)
    .case("each sees the schemes its manifest lists and no more", namespaces)
    .case("the example scheme answers", |session| {
        let said = session.expect(&["cat", "hello:world"])?;
        check(said == "Hello, world!\n", || format!("it said {said:?}"))
    })
    .case("one that is killed comes back, counted", killed)
    .case("one is upgraded while its clients read", upgraded)
    .case("a new build stays when it is killed", stays)
    .case("a build that never gets ready gives way to the one before", gives_way)
    .case("what is no program, or no service, is refused", refused);
    vec![plan.unit("services")]
}

/// What `services NAME` says of one: by key.
type Facts = BTreeMap<String, String>;

fn facts(session: &mut Session<'_>, name: &str) -> Result<Facts, String> {
    let text = session.expect(&["services", name])?;
    let split = |line: &str| {
        let (key, value) = line.split_once(' ').unwrap_or((line, ""));
        (key.to_owned(), value.to_owned())
    };
    Ok(text.lines().map(split).collect())
}

fn fact<'f>(facts: &'f Facts, key: &str) -> &'f str {
    facts.get(key).map_or("", String::as_str)
}

/// The names of the services that run.
fn running(session: &mut Session<'_>) -> Result<Vec<String>, String> {
    let text = session.expect(&["services"])?;
    let rows = text.lines().skip(1).filter_map(|line| {
        let mut words = line.split_whitespace();
        let (name, state) = (words.next()?, words.next()?);
        (state != "finished").then(|| name.to_owned())
    });
    Ok(rows.collect())
}

/// Every manifest of the source tree.
fn manifests() -> Result<Vec<Table>, String> {
    let folder = Context::new(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/..")).to_owned()).top;
    let folder = folder.join("filesystem-image/etc/init");
    let mut all = Vec::new();
    for entry in std::fs::read_dir(&folder).map_err(|error| format!("{}: {error}", folder.display()))?.flatten() {
        let path = entry.path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            let text = std::fs::read_to_string(&path).map_err(|error| error.to_string())?;
            all.push(text.parse::<Table>().map_err(|error| format!("{}: {error}", path.display()))?);
        }
    }
    Ok(all)
}

fn text<'t>(table: &'t Table, key: &str) -> &'t str {
    table.get(key).and_then(Value::as_str).unwrap_or_default()
}

fn is_template(manifest: &Table) -> bool {
    manifest.get("template").and_then(Value::as_bool) == Some(true)
}

/// The manifest that a running service was started from: its own, or the template whose name it begins with.
fn manifest_of<'m>(manifests: &'m [Table], service: &str) -> Result<&'m Table, String> {
    let fits = |manifest: &&Table| match text(manifest, "name").split_once("{instance}") {
        Some((before, after)) => service.starts_with(before) && service.ends_with(after),
        None => text(manifest, "name") == service,
    };
    manifests.iter().find(fits).ok_or_else(|| format!("{service} runs and has no manifest"))
}

/// One line of `caps`.
struct Capability {
    kind: String,
    rights: String,
    badge: u64,
    parent: String,
}

impl Capability {
    fn parse(line: &str) -> Option<Self> {
        let mut words = line.split_whitespace();
        let (_handle, kind, rights) = (words.next()?, words.next()?, words.next()?);
        let badge = u64::from_str_radix(words.next()?.trim_start_matches("0x"), 16).ok()?;
        let (_object, _messages, _from) = (words.next()?, words.next()?, words.next()?);
        let parent = words.collect::<Vec<_>>().join(" ");
        Some(Self { kind: kind.into(), rights: rights.into(), badge, parent })
    }

    /// What of it a manifest determines.
    fn signature(&self) -> String {
        match self.kind.as_str() {
            "IoPorts" => format!("IoPorts {:#x}+{:#x}", self.badge & 0xffff_ffff, self.badge >> 32),
            "Log" | "Memory" => format!("{} {}", self.kind, self.rights.get(..3).unwrap_or_default()),
            kind => kind.to_owned(),
        }
    }
}

/// The signatures of all that a manifest gives.
fn promised(manifest: &Table) -> Result<Vec<String>, String> {
    let mut all = vec!["Log -w-".to_owned(), "Notification".to_owned()];
    if manifest.contains_key("scheme") {
        all.push("Endpoint".into());
    }
    if manifest.contains_key("keepsake-pages") {
        all.push("Memory rw-".into());
    }
    let grants = manifest.get("capability").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    for grant in grants.iter().filter_map(Value::as_table) {
        let number = |key: &str| grant.get(key).and_then(Value::as_integer).unwrap_or_default();
        all.push(match text(grant, "kind") {
            "ports" => format!("IoPorts {:#x}+{:#x}", number("first"), number("count")),
            "interrupt-line" | "interrupts" => "Interrupt".into(),
            "device-memory" | "acpi-tables" => "DeviceMemory".into(),
            "dma-root" => "DmaDomain".into(),
            "initfs" => "Memory r-x".into(),
            "log-reader" => "Log r--".into(),
            "quota-view" => "Quota".into(),
            // A direct boot has none: left out.
            "framebuffer" => continue,
            other => return Err(format!("{}: this test does not know {other}", text(manifest, "name"))),
        });
    }
    all.sort();
    Ok(all)
}

/// What nobody can make for himself: it can only have been given.
const HARDWARE: [&str; 7] = ["IoPorts", "Interrupt", "DeviceMemory", "DmaDomain", "System", "Log", "Quota"];

fn holdings(session: &mut Session<'_>) -> Verdict {
    let manifests = manifests()?;
    let names = running(session)?;
    for manifest in manifests.iter().filter(|manifest| !is_template(manifest)) {
        let name = text(manifest, "name");
        // The device manager has done its work and gone.
        check(name == "devices" || names.iter().any(|n| n == name), || format!("{name} does not run"))?;
    }
    let bus = fact(&facts(session, "pci")?, "pid").to_owned();
    for name in &names {
        let manifest = manifest_of(&manifests, name)?;
        let dump = session.expect(&["caps", name])?;
        let all: Vec<_> = dump.lines().skip(1).filter_map(Capability::parse).collect();
        check(all.len() + 1 == dump.lines().count(), || format!("{name}: caps can't be read:\n{dump}"))?;
        let mut given: Vec<_> = all.iter().filter(|one| one.parent == FROM_INIT).map(Capability::signature).collect();
        given.sort();
        let promised = promised(manifest)?;
        check(given == promised, || format!("{name} was given {given:?}, its manifest says {promised:?}"))?;
        for one in &all {
            let from_bus = one.parent == format!("process {bus}");
            let driver = name.starts_with("virtio-blk-");
            check(!from_bus || driver, || format!("{name} holds {} from the bus manager:\n{dump}", one.kind))?;
            let made_itself = one.parent == "-";
            check(!made_itself || !HARDWARE.contains(&one.kind.as_str()), || {
                format!("{name} holds {} from nowhere:\n{dump}", one.kind)
            })?;
            let stranger = one.parent.starts_with("process ") && one.parent != FROM_INIT && !from_bus;
            check(!stranger || !HARDWARE.contains(&one.kind.as_str()), || {
                format!("{name} holds {} from {}:\n{dump}", one.kind, one.parent)
            })?;
        }
    }
    Ok(())
}

fn namespaces(session: &mut Session<'_>) -> Verdict {
    let manifests = manifests()?;
    let names = running(session)?;
    let mut all = Vec::new();
    for name in &names {
        all.push((name.clone(), facts(session, name)?));
    }
    // Every scheme there is: what the services serve, and init's own three.
    let mut schemes: Vec<_> = all.iter().map(|(_, facts)| fact(facts, "scheme")).filter(|name| *name != "-").collect();
    schemes.extend(["services", "service-manager", "audit"]);
    for (name, facts) in &all {
        let manifest = manifest_of(&manifests, name)?;
        let patterns = manifest.get("namespace").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        let fits = |scheme: &str| {
            patterns.iter().filter_map(Value::as_str).any(|pattern| match pattern.strip_suffix('*') {
                Some(start) => scheme.starts_with(start),
                None => scheme == pattern,
            })
        };
        let mut want: Vec<_> =
            schemes.iter().copied().filter(|scheme| fits(scheme) && *scheme != fact(facts, "scheme")).collect();
        if is_template(manifest) {
            // What the device manager binds for it: the disk or the device it serves.
            want.push(if name.starts_with("virtio-blk-") { "device" } else { "disk" });
        }
        want.sort_unstable();
        let mut sees: Vec<_> = fact(facts, "sees").split_whitespace().collect();
        sees.sort_unstable();
        check(sees == want, || format!("{name} sees {sees:?}, its manifest says {want:?}"))?;
    }
    Ok(())
}

/// A service that clients hold sessions of is ended; they notice nothing, `services` counts it.
fn killed(session: &mut Session<'_>) -> Verdict {
    let before = facts(session, "memfs")?;
    let said = session.shell("echo kept > /survivor; kill fat-1-0; ls /disk/1/0; cat /survivor")?;
    check(said.ends_with("kept\n"), || format!("it said {said:?}"))?;
    let after = facts(session, "fat-1-0")?;
    check(fact(&after, "restarts") == "1", || format!("fat-1-0: {after:?}"))?;
    // Nobody else was touched.
    let same = facts(session, "memfs")?;
    check(fact(&before, "pid") == fact(&same, "pid"), || format!("memfs: {same:?}"))
}

/// The file system's server is replaced twice while a file is read from it, over and over: each reading gives the same sum.
fn upgraded(session: &mut Session<'_>) -> Verdict {
    const READ: &str = "sha256sum /disk/1/0/big";
    let reading = [READ; 8].join("; ");
    // `ls` is answered by the new one, which init knows to be ready then.
    let upgrade = "upgrade fat-1-0 initfs:bin/fat && ls /disk/1/0";
    let said = session.shell(&format!(
        "cp initfs:bin/fat /disk/1/0/big && sh -c '{reading}' & sleep 0.1; {upgrade}; {upgrade}; wait; sha256sum initfs:bin/fat"
    ))?;
    let sums: Vec<&str> = said.lines().filter_map(|line| line.split_once("  ")).map(|(sum, _)| sum).collect();
    let same = sums.windows(2).all(|pair| pair[0] == pair[1]);
    check(sums.len() == 9 && same, || format!("it said {said:?}"))?;
    let after = facts(session, "fat-1-0")?;
    check(fact(&after, "upgrades") == "2" && fact(&after, "state") == "ready", || format!("fat-1-0: {after:?}"))
}

/// Another server's program in the place of the example: it answers, and again after it was killed.
fn stays(session: &mut Session<'_>) -> Verdict {
    let said = session.shell(
        "upgrade example initfs:bin/memfs && touch hello:x && ls hello: && kill example && touch hello:y && ls hello:",
    )?;
    check(said == "x\ny\n", || format!("it said {said:?}"))?;
    let note = session.shell("audit -n 200")?;
    check(note.contains("upgraded"), || format!("the audit record says {note:?}"))?;
    let said = session.shell("upgrade example initfs:bin/example && cat hello:world")?;
    check(said == "Hello, world!\n", || format!("it said {said:?}"))
}

/// The bench program finds nothing to write to, and ends.
fn gives_way(session: &mut Session<'_>) -> Verdict {
    let before = facts(session, "example")?;
    let said = session.shell("upgrade example initfs:bin/app-bench; cat hello:world")?;
    check(said == "Hello, world!\n", || format!("it said {said:?}"))?;
    let after = facts(session, "example")?;
    let same = fact(&before, "upgrades") == fact(&after, "upgrades");
    check(same && fact(&after, "state") == "ready", || format!("example: {after:?}"))?;
    let log = session.expect(&["dmesg"])?;
    check(log.contains("before it was ready"), || format!("the log says {log:?}"))
}

fn refused(session: &mut Session<'_>) -> Verdict {
    let before = facts(session, "example")?;
    for (service, file, why) in [
        ("example", "initfs:etc/init/example.toml", "no program"),
        ("example", "initfs:bin/nothing", "no such file"),
        ("nobody", "initfs:bin/fat", "no such service"),
        ("devices", "initfs:bin/fat", "no such service"),
    ] {
        let outcome = session.run(&["upgrade", service, file])?;
        let said = outcome.error_text().to_lowercase();
        check(outcome.status == 1 && said.contains(why), || format!("{service} {file}: {} {said:?}", outcome.status))?;
    }
    let after = facts(session, "example")?;
    check(fact(&before, "pid") == fact(&after, "pid"), || format!("example: {after:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_manifest_is_understood() {
        let manifests = manifests().unwrap();
        assert!(manifests.len() > 5);
        for manifest in &manifests {
            promised(manifest).unwrap();
        }
        assert!(manifest_of(&manifests, "fat-1-0").is_ok_and(is_template));
        assert!(manifest_of(&manifests, "stowaway").is_err());
    }

    #[test]
    fn a_line_of_caps_is_read_as_a_manifest_would_say_it() {
        let line = "   0x10004 IoPorts       rw---i---        0x8000003f8      35        0      2 process 2";
        let one = Capability::parse(line).unwrap();
        assert_eq!((one.signature().as_str(), one.parent.as_str()), ("IoPorts 0x3f8+0x8", FROM_INIT));
        assert!(Capability::parse("nonsense").is_none());
    }
}
