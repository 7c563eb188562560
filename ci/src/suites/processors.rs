//! Several processors: every number from one to eight, models from the oldest on,
//! and threads on four of them against each other.
//!
//! `app-test smp` does the work inside. The emulator runs each processor in a thread of the host's, so that no two runs are
//! alike: the short forms are repeated. That the tests would see a processor that does not flush is tried too, on a
//! kernel built without that (`make no-shootdown`; long).

use std::process::Command;
use std::time::Duration;

use crate::context::{check, Context, Verdict};
use crate::deadline::Deadline;
use crate::guest::Guest;
use crate::machine::{Boot, Machine};
use crate::runner::{BootPlan, Unit, Work};

/// What is tried against each other, each a test of `app-test smp`.
const STRESS: [&str; 7] = ["migrate", "unmap", "copies", "revoke", "suspend", "spaces", "kill"];
/// Processors under stress.
const CPUS: u32 = 4;
/// How often in a short run.
const REPEATS: u32 = 20;
/// How long one repeat may take: more processors than the host has, each with a thread that waits for the others.
const REPEAT: Duration = Duration::from_secs(240);
/// What a reader of an old page says.
const STALE: &str = "a page was read that had been taken away";

/// All of it.
pub fn units() -> Vec<Unit> {
    let mut units = Vec::new();
    let mut stress = BootPlan::new(|context, _| Ok(Machine { cpus: CPUS, ..context.direct() }));
    for repeat in 1..=REPEATS {
        let name = format!("{CPUS} processors against each other, repeat {repeat} of {REPEATS}");
        stress = stress.case(&name, |session| {
            STRESS.iter().try_for_each(|test| session.expect(&["app-test", "smp", test]).map(drop))
        });
    }
    stress.case_time = REPEAT;
    units.push(Unit { weight: 2, ..stress.unit("processors") });
    for cpus in 1..=8 {
        let plan = BootPlan::new(move |context, _| Ok(Machine { cpus, ..context.direct() }))
            .case(&format!("{cpus} run at once"), |session| session.expect(&["app-test", "smp", "together"]).map(drop));
        units.push(plan.unit("processors"));
    }
    for model in ["qemu64", "Nehalem", "Skylake-Client", "max"] {
        let plan =
            BootPlan::new(move |context, _| Ok(Machine { cpus: 2, cpu: Some(model.into()), ..context.direct() })).case(
                &format!("two of model {model} run at once, and threads change between them"),
                |session| {
                    session.expect(&["app-test", "smp", "together"])?;
                    session.expect(&["app-test", "smp", "migrate"]).map(drop)
                },
            );
        units.push(plan.unit("processors"));
    }
    let mut long = BootPlan::new(|context, _| Ok(Machine { cpus: CPUS, ..context.direct() }));
    for repeat in 1..=10 {
        long = long.case(&format!("{CPUS} against each other for long, repeat {repeat}"), |session| {
            session.expect(&["app-test", "smp", "all", "10"]).map(drop)
        });
    }
    long.case_time = Duration::from_secs(3600);
    units.push(Unit { weight: 2, long: true, ..long.unit("processors") });
    units.push(Unit {
        name: "processors: a kernel that flushes on one processor alone is found out".into(),
        weight: 2,
        long: true,
        work: Work::Alone(Box::new(found_out)),
    });
    units
}

/// The tests of pages fail on a kernel without the shoot-down, and for that reason.
fn found_out(context: &Context) -> Verdict {
    let made = Command::new("make").arg("-C").arg(&context.top).args(["-s", "no-shootdown"]).status();
    check(made.is_ok_and(|status| status.success()), || "make no-shootdown".into())?;
    let kernel = context.build().join("kernel.no-shootdown.elf");
    let boot = Boot::Direct { kernel, initfs: context.build().join("initfs.img"), append: String::new() };
    let machine = Machine { cpus: CPUS, ..Machine::new(boot) };
    for test in ["unmap", "copies"] {
        let deadline = Deadline::after(REPEAT);
        let mut guest = Guest::boot(&machine, deadline, Box::new(|_| {})).map_err(|error| error.to_string())?;
        guest.wait_ready(deadline).map_err(|end| end.to_string())?;
        let outcome = guest.run(&["app-test", "smp", test], deadline).map_err(|end| end.to_string())?;
        let said = format!("{}{}", outcome.text(), outcome.error_text());
        check(outcome.status != 0 && said.contains(STALE), || format!("{test}: status {}: {said}", outcome.status))?;
    }
    Ok(())
}
