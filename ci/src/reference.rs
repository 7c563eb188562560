//! The reference of the kernel's objects and calls, made from the contract.
//!
//! `docs/reference.md` is what [`page`] says; a test holds the file against it, `make reference` writes it anew.

use crate::costs::{self, Costs};
use abi::call::Call;
use abi::cost;
use abi::error::Error;
use abi::refusal;
use abi::Kind;
use std::fmt::Write;

/// Where the page is, from the project's root.
pub const PATH: &str = "docs/reference.md";

const HEAD: &str = "# The kernel's objects and calls

Made from `kernel/abi` by `make reference`; a test holds it against the contract. `kernel/abi/src/call.rs` says how calls use
registers, `kernel/abi/src/message.rs` what messages look like.

A call is refused with `BadHandle`, `WrongKind` or `NoRight` if its first argument is not what the call asks for; that is asked before
anything else. The errors below are the others. Every pair of call and error is provoked by a test on the host (`mk-pairs`).
A call that says *may wait* can leave its caller waiting; all others come back at once, or after a bounded
number of steps between which interrupts are served.

*Costs* are instructions from user code and back, for the plainest use of a call: one object, one page, no capability or lease, nobody
waiting; they are measured (`make costs`), and a test fails when a call takes a quarter more. What the cost grows with is said beside
it. Calls without a number need a device or the system's own capability, or do not come back. The message calls are measured as pairs by
`make bench`.

";

/// The kinds in the first arguments of calls, and what each is.
fn objects(out: &mut String) {
    out.push_str("## Objects\n\n| kind | what it is | calls on it |\n| --- | --- | --- |\n");
    for kind in Kind::ALL {
        let calls: Vec<String> =
            Call::ALL.iter().filter(|call| asked(**call).0 == kind.name()).map(|call| link(*call)).collect();
        let calls = if calls.is_empty() { "–".into() } else { calls.join(", ") };
        let _ = writeln!(out, "| `{}` | {} | {calls} |", kind.name(), kind.text());
    }
    out.push('\n');
}

/// Kind and right that a call asks its first argument for; empty where it asks for nothing.
fn asked(call: Call) -> (&'static str, &'static str) {
    call.needs().split_once(' ').unwrap_or_default()
}

fn link(call: Call) -> String {
    format!("[`{0}`](#{0})", call.name())
}

fn call_entry(out: &mut String, call: Call, costs: &Costs) {
    let list = |names: &[&str]| names.iter().filter(|n| **n != "zero").copied().collect::<Vec<_>>().join(", ");
    let _ = writeln!(out, "### {}\n\n{}\n", call.name(), call.text());
    let results = list(call.results());
    let results = if results.is_empty() { String::new() } else { format!(" → {results}") };
    let _ = writeln!(out, "`{}({}){results}`, number {:#x}.", call.name(), list(call.arguments()), call as u64);
    let (kind, right) = asked(call);
    if !kind.is_empty() {
        let _ = writeln!(out, "The first argument is a `{kind}` with `{right}`.");
    }
    if call.blocks() {
        out.push_str("May wait.\n");
    }
    let growth = cost::grows_with(call);
    match costs.get(call.name()) {
        Some(cost) => {
            let _ = writeln!(out, "Costs {cost} instructions; grows with {growth}.");
        }
        None => {
            let _ = writeln!(out, "Its cost grows with {growth}.");
        }
    }
    let errors: &[(Error, &str)] = refusal::of(call);
    if !errors.is_empty() {
        out.push_str("\n| error | when |\n| --- | --- |\n");
        for (error, cause) in errors {
            let _ = writeln!(out, "| `{}` | {cause} |", error.name());
        }
    }
    out.push('\n');
}

/// The page.
pub fn page() -> String {
    let mut out = String::from(HEAD);
    objects(&mut out);
    out.push_str("## Calls\n\n");
    let costs = costs::parse(include_str!("../../docs/costs.txt")).expect("make costs writes it");
    Call::ALL.iter().for_each(|call| call_entry(&mut out, *call, &costs));
    out.truncate(out.trim_end().len());
    out.push('\n');
    out
}

#[cfg(test)]
mod tests {
    use super::{page, PATH};
    use abi::call::Call;
    use abi::Kind;

    #[test]
    fn the_page_in_docs_is_what_the_contract_says() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
        let there = std::fs::read_to_string(format!("{path}/{PATH}")).expect("the page");
        assert!(there == page(), "{PATH} is out of date: make reference");
    }

    #[test]
    fn every_call_has_an_entry_and_every_kind_a_row() {
        let page = page();
        for call in Call::ALL {
            assert_eq!(page.matches(&format!("### {}\n", call.name())).count(), 1, "{call:?}");
        }
        for kind in Kind::ALL {
            assert!(page.contains(&format!("| `{}` | ", kind.name())), "{kind:?}");
        }
    }
}
