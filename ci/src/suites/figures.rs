//! Figures that are promised: interrupts of a disk request, instruction counts.

use crate::bench;
use crate::context::{check, path_text, tool, Context, Verdict};
use crate::machine::{Disk, Platform};
use crate::runner::{BootPlan, Unit, Work};
use crate::suites::volume::Volume;

const VOLUME: Volume = Volume { bits: 16, size_mib: 32, cluster_sectors: 4, files: 1, large_mib: 0 };

/// On both chipsets: on `pc` message interrupts work too, although nothing of its firmware needs them.
pub fn units() -> Vec<Unit> {
    let mut units = vec![Unit {
        name: "make bench: no figure is past its limit, or worse than the baseline".into(),
        weight: 1,
        long: false,
        work: Work::Alone(Box::new(bench)),
    }];
    units.push(Unit {
        name: "make windows: interrupts are never off for long, and no urgent thread is late".into(),
        weight: 1,
        long: false,
        work: Work::Alone(Box::new(windows)),
    });
    units.push(Unit {
        name: "make costs: no call takes more than the reference says".into(),
        weight: 1,
        long: false,
        work: Work::Alone(Box::new(costs)),
    });
    for (platform, chipset) in [(Platform::Q35, "q35"), (Platform::Pc, "pc")] {
        let plan = BootPlan::new(move |context, folder| {
            let image = Volume::image(folder);
            VOLUME.format(&image)?;
            let mut machine = context.direct();
            machine.platform = platform;
            machine.disks.push(Disk::new(image));
            Ok(machine)
        })
        .case("one interrupt a request, and nothing polls", |session| {
            session.expect(&["app-test", "disk", "interrupts", "1"]).map(drop)
        });
        units.push(plan.unit(&format!("the block driver on {chipset}")));
    }
    units
}

/// One run of the measurements, held against the limits and the committed figures.
fn bench(_: &Context) -> Verdict {
    let exe = std::env::current_exe().map_err(|error| error.to_string())?;
    tool(&path_text(&exe.with_file_name("mk-bench")), &["--check"]).map(drop)
}

/// The measuring kernel through the worst cases.
fn windows(context: &Context) -> Verdict {
    let faults = bench::windows::run(context)?.faults();
    check(faults.is_empty(), || faults.join("\n"))
}

/// What calls cost, as the reference tells it.
fn costs(context: &Context) -> Verdict {
    let exe = std::env::current_exe().map_err(|error| error.to_string())?;
    let file = context.top.join(crate::costs::PATH);
    tool(&path_text(&exe.with_file_name("mk-bench")), &["--check-costs", &path_text(&file)]).map(drop)
}
