//! The runner of system tests, tried with a boot sector in the system's place.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc;

use ci::context::Context;
use ci::machine::{Boot, Machine};
use ci::runner::{run, BootPlan, Unit, Work};
use ci::sector::{Script, LOG};

/// Answers one command of one letter with status 0, and switches off at the next frame.
fn answers_once() -> Script {
    Script::new().frame(b'R', b"").skip(5).frame(b'X', &0i32.to_le_bytes()).skip(4).exit(0x10)
}

fn plan(script: fn() -> Script, boots: &Arc<AtomicUsize>) -> BootPlan {
    let boots = Arc::clone(boots);
    BootPlan::new(move |_, folder| {
        boots.fetch_add(1, Ordering::Relaxed);
        let image = folder.join("sector");
        script().save(&image).map_err(|error| error.to_string())?;
        Ok(Machine::new(Boot::Sector { image }))
    })
}

fn results(context: &Context) -> Vec<(String, bool)> {
    let text = std::fs::read_to_string(context.build().join("test-results.json")).expect("results");
    let rows: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let row = |row: &serde_json::Value| Some((row["name"].as_str()?.to_owned(), row["passed"].as_bool()?));
    rows.as_array().expect("rows").iter().map(|one| row(one).expect("a row")).collect()
}

fn context(folder: &tempfile::TempDir) -> Context {
    let context = Context { quiet: true, ..Context::new(folder.path().to_owned()) };
    std::fs::create_dir(context.build()).expect("a folder");
    context
}

#[test]
fn a_case_that_ends_its_machine_fails_alone() {
    let folder = tempfile::tempdir().unwrap();
    let context = context(&folder);
    let boots = Arc::new(AtomicUsize::new(0));
    let unit = plan(answers_once, &boots)
        .case("first", |session| session.expect(&["a"]).map(drop))
        .case("switches it off", |session| session.expect(&["b"]).map(drop))
        .case("after a new boot", |session| session.expect(&["c"]).map(drop))
        .after("what it left", |folder| folder.join("sector").exists().then_some(()).ok_or("gone".into()))
        .unit("boot");
    assert!(!run(&context, vec![unit], &[]));
    let want = [("first", true), ("switches it off", false), ("after a new boot", true), ("what it left", true)];
    assert_eq!(results(&context), want.map(|(name, passed)| (format!("boot: {name}"), passed)));
    assert_eq!(boots.load(Ordering::Relaxed), 2);
    let log = std::fs::read_to_string(context.build().join("test-logs/boot--switches-it-off.log")).expect("a log");
    assert!(log.contains("switched itself off") && log.contains("qemu-system-x86_64"), "{log}");
}

#[test]
fn a_panic_in_the_log_fails_a_case_that_thinks_it_held() {
    let folder = tempfile::tempdir().unwrap();
    let context = context(&folder);
    let script = || {
        let answer = 0i32.to_le_bytes();
        Script::new().frame(b'R', b"").skip(5).write(LOG, b"panic: unseen\n").frame(b'X', &answer).hang()
    };
    let unit = plan(script, &Arc::default()).case("blind", |session| {
        // Whatever the command said, this test is content.
        let _ = session.run(&["a"]);
        Ok(())
    });
    assert!(!run(&context, vec![unit.unit("boot")], &[]));
    // Nearly always the case itself; on a busy host the log may come after its answer.
    assert!(results(&context).iter().any(|(_, passed)| !passed));
}

#[test]
fn a_filter_selects_and_nothing_selected_is_no_success() {
    let folder = tempfile::tempdir().unwrap();
    let context = context(&folder);
    let units = || {
        ["one", "two"]
            .map(|name| Unit { name: name.into(), weight: 1, long: false, work: Work::Alone(Box::new(|_| Ok(()))) })
            .into()
    };
    assert!(run(&context, units(), &["tw".into()]));
    assert_eq!(results(&context), [("two".to_owned(), true)]);
    assert!(!run(&context, units(), &["three".into()]));
}

#[test]
fn a_test_that_panics_has_failed_and_the_rest_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let context = context(&folder);
    let unit = |name: &str, work: fn(&Context) -> Result<(), String>| Unit {
        name: name.into(),
        weight: 64, // more than any machine has: it then runs alone
        long: false,
        work: Work::Alone(Box::new(work)),
    };
    let units = vec![unit("bad", |_| panic!("no reason")), unit("good", |_| Ok(()))];
    assert!(!run(&context, units, &[]));
    let mut rows = results(&context);
    rows.sort();
    assert_eq!(rows, [("bad".to_owned(), false), ("good".to_owned(), true)]);
}
