//! What the security policy keeps apart, and what the record says of it, seen
//! by a user.
//!
//! The ways round it are tried by `app-test` (its tests on labels and types, among the hostile ones); here is what the system itself
//! does under its own policy, and what `audit`, `ps` and `services` show.

use crate::context::{check, Verdict};
use crate::runner::{BootPlan, Session, Unit};

/// The program's test that is denied something: what it leaves in the record is looked for.
const DENIED: &str = "a-type-that-a-label-may-not-have-is-denied-by-name-and-inheritance";

/// One boot.
pub fn units() -> Vec<Unit> {
    let plan = BootPlan::new(|context, _| Ok(context.direct()))
        .case("the system starts under its policy and denies itself nothing", starts)
        .case("a denial is in the record, with who and what", denial)
        .case("a path that forges a line is shown as one word", forged)
        .case("a service's restart is noted", restart)
        .case("programs and services are shown with their labels", labels);
    vec![plan.unit("security")]
}

/// The lines of `audit` with these options, each as its words.
fn audit(session: &mut Session<'_>, options: &[&str]) -> Result<Vec<Vec<String>>, String> {
    let text = session.expect(&[&["audit"], options].concat())?;
    Ok(text.lines().skip(1).map(|line| line.split_whitespace().map(str::to_owned).collect()).collect())
}

fn starts(session: &mut Session<'_>) -> Verdict {
    let log = session.expect(&["dmesg"])?;
    check(log.contains("security policy: ") && log.contains(", sealed"), || "no policy was sealed".into())?;
    let lines = audit(session, &[])?;
    let first = lines.first().map(|line| line[1..6].join(" ")).unwrap_or_default();
    check(first.starts_with("allowed policy ") && first.ends_with("init init"), || format!("first: {first:?}"))?;
    check(lines.len() > 10, || format!("{} decisions from boot to here", lines.len()))?;
    let denied: Vec<_> = lines.iter().filter(|line| line[1] == "denied").collect();
    check(denied.is_empty(), || format!("denied: {denied:?}"))?;
    check(audit(session, &["-d"])?.is_empty(), || "denials that are no decisions".into())
}

fn denial(session: &mut Session<'_>) -> Verdict {
    session.expect(&["app-test", DENIED])?;
    let lines = audit(session, &["-d"])?;
    let want = ["denied", "open", "app-test", "guest", "file", "s>-", "file:/a/b"];
    let found = lines.iter().any(|line| want.iter().all(|word| line.iter().any(|w| w == word)));
    check(found, || format!("{lines:?}"))?;
    let last = audit(session, &["-d", "-n", "2"])?;
    check(last.len() == 2 && last == lines[lines.len().saturating_sub(2)..], || format!("{last:?}"))
}

fn forged(session: &mut Session<'_>) -> Verdict {
    // The file need not be there: the decision is about the scheme.
    let _ = session.run(&["cat", "hello:x\n9.9 denied open 1 init"])?;
    let lines = audit(session, &["-n", "20"])?;
    let whole = "hello:x\\x0a9.9\\x20denied\\x20open\\x201\\x20init";
    check(lines.iter().any(|line| line.iter().any(|word| word == whole)), || format!("{lines:?}"))?;
    check(!lines.iter().any(|line| line[0] == "9.9"), || "a line was forged".into())
}

fn restart(session: &mut Session<'_>) -> Verdict {
    session.shell("kill example; cat hello:again")?;
    let lines = audit(session, &[])?;
    let noted = lines.iter().filter(|line| line.last().is_some_and(|w| w.starts_with("example:ended"))).count();
    check(noted == 1, || format!("{noted} notes"))
}

fn labels(session: &mut Session<'_>) -> Verdict {
    let memfs = session.expect(&["services", "memfs"])?;
    check(memfs.contains("label memfs\n") && memfs.contains("object-type file\n"), || memfs.clone())?;
    let ps = session.expect(&["ps"])?;
    let has = |name: &str, label: &str| ps.lines().any(|line| line.split_whitespace().rev().take(2).eq([name, label]));
    check(has("init", "init") && has("pci", "pci") && has("sh", "agent"), || ps.clone())
}
