//! `mk/run`'s promises, with the real system inside.
//!
//! `tests/contract.rs` tries the same harness with a boot sector in the system's place; here
//! it is shell, agent and kernel that have to keep their half.

use std::io::Write;
use std::process::{Command, Output, Stdio};

use crate::context::{check, path_text, scratch, Context, Verdict};
use crate::runner::{Unit, Work};

type Test = fn(&Context) -> Verdict;

/// One test a promise; each boots for itself, because how a run ends is what is tested.
pub fn units() -> Vec<Unit> {
    let tests: [(&str, Test); 8] = [
        ("output is exact, binary too", binary_output),
        ("standard input reaches the command, binary too", binary_input),
        ("the exit status is the command's", exit_status),
        ("arguments arrive as given", arguments),
        ("an added program keeps its name and its execute bit", added),
        ("a command that does not end is 124", timeout),
        ("a system that can't boot is 125", no_boot),
        ("two runs under --icount take the same instructions", repeatable),
    ];
    tests
        .into_iter()
        .map(|(name, test)| Unit {
            name: format!("mk/run: {name}"),
            weight: 1,
            long: false,
            work: Work::Alone(Box::new(test)),
        })
        .collect()
}

/// Every byte, twice, in an order without runs, and across frame and buffer sizes.
fn bytes() -> Vec<u8> {
    (0..300_000u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13).to_le_bytes()[0]).collect()
}

fn finish(command: &mut Command, input: Vec<u8>) -> Result<Output, String> {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|error| format!("mk-run: {error}"))?;
    let stdin = child.stdin.take();
    // From a thread: the child may write before it has read all.
    let writer = std::thread::spawn(move || {
        if let Some(mut stdin) = stdin {
            // Fails when the command ends without reading: its right.
            let _ = stdin.write_all(&input);
        }
    });
    let output = child.wait_with_output().map_err(|error| format!("mk-run: {error}"))?;
    writer.join().map_err(|_| "the writer panicked".to_owned())?;
    Ok(output)
}

fn run(context: &Context, options: &[&str], command: &[&str]) -> Result<Output, String> {
    finish(context.mk_run().args(options).arg("--").args(command), Vec::new())
}

fn status(output: &Output, want: i32) -> Verdict {
    let errors = String::from_utf8_lossy(&output.stderr);
    check(output.status.code() == Some(want), || format!("{}, not {want}: {errors}", output.status))
}

fn same(got: &[u8], want: &[u8]) -> Verdict {
    let at = got.iter().zip(want).position(|(a, b)| a != b).unwrap_or(got.len().min(want.len()));
    check(got == want, || format!("{} bytes, not {}; they differ at {at}", got.len(), want.len()))
}

fn binary_output(context: &Context) -> Verdict {
    let folder = scratch()?;
    let file = folder.path().join("all bytes");
    std::fs::write(&file, bytes()).map_err(|error| error.to_string())?;
    let output = run(context, &["--add", &path_text(&file)], &["cat", "all bytes"])?;
    status(&output, 0)?;
    same(&output.stdout, &bytes())
}

fn binary_input(context: &Context) -> Verdict {
    let output = finish(context.mk_run().args(["--", "cat"]), bytes())?;
    status(&output, 0)?;
    same(&output.stdout, &bytes())
}

fn exit_status(context: &Context) -> Verdict {
    let output = run(context, &[], &["sh", "-c", "echo complaint >&2; exit 124"])?;
    status(&output, 124)?;
    same(&output.stdout, b"")?;
    same(&output.stderr, b"complaint\n")
}

fn arguments(context: &Context) -> Verdict {
    let output = run(context, &[], &["echo", "a  b", "", "'q' \"r\"", "$HOME;*", "--uefi"])?;
    status(&output, 0)?;
    same(&output.stdout, b"a  b  'q' \"r\" $HOME;* --uefi\n")
}

fn added(context: &Context) -> Verdict {
    let program = context.top.join("build/target/x86_64-unknown-none/release/app-test");
    let plain = context.top.join("Cargo.toml");
    let adds = [format!("{}:my prog", path_text(&program)), path_text(&plain)];
    let output = run(context, &["--add", &adds[0], "--add", &adds[1]], &["./my prog", "list"])?;
    status(&output, 0)?;
    check(!output.stdout.is_empty(), || "the added program wrote nothing".into())?;
    let output = run(context, &["--add", &adds[1]], &["./Cargo.toml"])?;
    check(output.status.code() == Some(126) || output.status.code() == Some(127), || {
        format!("a file without its execute bit ran: {}", output.status)
    })?;
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    check(!errors.contains("mk/run: service"), || errors)
}

fn timeout(context: &Context) -> Verdict {
    let output = run(context, &["--timeout", "15"], &["cat", "console:"])?;
    status(&output, 124)?;
    let errors = String::from_utf8_lossy(&output.stderr);
    check(errors.lines().any(|line| line == "mk/run: timeout"), || format!("no timeout line: {errors}"))
}

fn no_boot(context: &Context) -> Verdict {
    // Less memory than the initial file system takes.
    let output = run(context, &["--mem", "3M", "--timeout", "60"], &["echo", "hello"])?;
    status(&output, 125)?;
    same(&output.stdout, b"")?;
    let errors = String::from_utf8_lossy(&output.stderr);
    check(errors.lines().any(|line| line == "mk/run: panic"), || format!("no panic line: {errors}"))
}

fn repeatable(context: &Context) -> Verdict {
    let once = || -> Result<Vec<u8>, String> {
        let output = run(context, &["--icount"], &["time", "echo", "x"])?;
        status(&output, 0)?;
        Ok([output.stdout, output.stderr].concat())
    };
    let (first, second) = (once()?, once()?);
    same(&first, &second)
}
