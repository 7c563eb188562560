//! Runs system tests side by side as far as cores allow, many cases to a boot.
//!
//! A [`Unit`] is what is scheduled: one test that does everything itself, or a boot with many
//! cases. Each has a weight, the number of cores it keeps busy. A case that ends its machine
//! fails alone: the machine is booted anew for the cases after it. One line is printed a test;
//! what a failed one left behind goes to `build/test-logs/`.

use std::collections::VecDeque;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::json;
use tempfile::TempDir;

use crate::capture::Capture;
use crate::context::{scratch, Context, Verdict};
use crate::deadline::Deadline;
use crate::guest::{End, Guest, Outcome, PANIC_PREFIX};
use crate::machine::Machine;

/// How long a machine may take to its agent's first word.
const BOOT: Duration = Duration::from_secs(90);
/// How long one case may take, where its plan says nothing else.
pub const CASE: Duration = Duration::from_secs(90);
/// How long switching off may take.
const POWER_OFF: Duration = Duration::from_secs(30);

/// Something to schedule.
pub struct Unit {
    /// The first part of its tests' names.
    pub name: String,
    /// How many cores it keeps busy.
    pub weight: usize,
    /// Whether only a long run includes it.
    pub long: bool,
    /// What it does.
    pub work: Work,
}

/// What a unit does.
pub enum Work {
    /// One test, on its own.
    Alone(Box<dyn Fn(&Context) -> Verdict + Send>),
    /// Many tests in one machine.
    Boot(BootPlan),
    /// Tests that a machine runs by itself, and tells of.
    Told(Tell),
}

/// Runs such a machine; why there was nothing to tell is the error.
pub type Tell = Box<dyn Fn(&Context) -> Result<Told, String> + Send>;

/// What a machine told of its own tests.
pub struct Told {
    /// Each test's name, and what came of it.
    pub tests: Vec<(String, Verdict)>,
    /// All there is to know of the machine, for the record of a failure.
    pub record: String,
}

/// Makes a unit's machine; the folder is the unit's own.
pub type MakeMachine = Box<dyn Fn(&Context, &Path) -> Result<Machine, String> + Send>;

/// A machine and the tests that share it.
pub struct BootPlan {
    /// Makes the machine.
    pub machine: MakeMachine,
    /// How long one case may take.
    pub case_time: Duration,
    /// Tests inside, in order.
    pub cases: Vec<Case>,
    /// A program that lists further tests, one name a line, when given `list`, and runs one when
    /// given its name: status 0 means that it held.
    pub discover: Option<String>,
    /// Tests on the host once the machine has switched itself off.
    pub after: Vec<AfterCase>,
}

impl BootPlan {
    /// A plan without tests yet, for the machine that `machine` makes.
    pub fn new(machine: impl Fn(&Context, &Path) -> Result<Machine, String> + Send + 'static) -> Self {
        Self { machine: Box::new(machine), case_time: CASE, cases: Vec::new(), discover: None, after: Vec::new() }
    }

    /// With one more test inside.
    #[must_use]
    pub fn case(mut self, name: &str, run: impl Fn(&mut Session<'_>) -> Verdict + Send + 'static) -> Self {
        self.cases.push(Case { name: name.into(), run: Box::new(run) });
        self
    }

    /// With one more test of what the machine left behind.
    #[must_use]
    pub fn after(mut self, name: &str, run: impl Fn(&Path) -> Verdict + Send + 'static) -> Self {
        self.after.push(AfterCase { name: name.into(), run: Box::new(run) });
        self
    }

    /// As a unit that keeps one core busy.
    pub fn unit(self, name: &str) -> Unit {
        Unit { name: name.into(), weight: 1, long: false, work: Work::Boot(self) }
    }
}

/// A test inside a running machine.
pub struct Case {
    /// Its name within the unit.
    pub name: String,
    /// What it does.
    pub run: Box<dyn Fn(&mut Session<'_>) -> Verdict + Send>,
}

/// A test of what a machine left behind.
pub struct AfterCase {
    /// Its name within the unit.
    pub name: String,
    /// What it does, given the unit's folder.
    pub run: Box<dyn Fn(&Path) -> Verdict + Send>,
}

/// A case's hold on its machine.
pub struct Session<'a> {
    /// The machine.
    pub guest: &'a mut Guest,
    /// The unit's folder on the host.
    pub folder: &'a Path,
    /// When the case has to be over.
    pub deadline: Deadline,
}

impl Session<'_> {
    /// Runs a command; what came of it.
    ///
    /// # Errors
    /// When something ended it first.
    pub fn run(&mut self, argv: &[&str]) -> Result<Outcome, String> {
        self.guest.run(argv, self.deadline).map_err(|end| format!("{}: {end}", argv.join(" ")))
    }

    /// Runs a command that has to succeed; its standard output as text.
    ///
    /// # Errors
    /// When it does not succeed; with what it said.
    pub fn expect(&mut self, argv: &[&str]) -> Result<String, String> {
        let outcome = self.run(argv)?;
        if outcome.status != 0 {
            let said = format!("{}{}", outcome.text(), outcome.error_text());
            return Err(format!("{}: status {}: {}", argv.join(" "), outcome.status, said.trim_end()));
        }
        Ok(outcome.text())
    }

    /// Runs a line of shell that has to succeed.
    ///
    /// # Errors
    /// As [`Self::expect`].
    pub fn shell(&mut self, line: &str) -> Result<String, String> {
        self.expect(&["sh", "-c", line])
    }
}

/// What came of one test.
#[derive(Clone, Debug)]
struct Row {
    name: String,
    verdict: Verdict,
    time: Duration,
}

/// Runs those of `units` that `filters` select (all, when there are none); prints a line each
/// and the closing counts. Whether all held.
pub fn run(context: &Context, units: Vec<Unit>, filters: &[String]) -> bool {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let logs = context.build().join("test-logs");
    // Old logs would be taken for this run's.
    let _ = std::fs::remove_dir_all(&logs);
    let run = Run {
        context,
        filters,
        logs,
        queue: Mutex::new(units.into_iter().filter(|unit| context.long || !unit.long).collect()),
        free_cores: Mutex::new(cores),
        freed: Condvar::new(),
        rows: Mutex::new(Vec::new()),
    };
    std::thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(|| run.work(cores));
        }
    });
    run.close()
}

struct Run<'a> {
    context: &'a Context,
    filters: &'a [String],
    logs: PathBuf,
    queue: Mutex<VecDeque<Unit>>,
    free_cores: Mutex<usize>,
    freed: Condvar,
    rows: Mutex<Vec<Row>>,
}

impl Run<'_> {
    fn work(&self, cores: usize) {
        loop {
            let Some(unit) = lock(&self.queue).pop_front() else { return };
            let weight = unit.weight.clamp(1, cores);
            let mut free = lock(&self.free_cores);
            while *free < weight {
                free = self.freed.wait(free).unwrap_or_else(PoisonError::into_inner);
            }
            *free -= weight;
            drop(free);
            self.unit(unit);
            *lock(&self.free_cores) += weight;
            self.freed.notify_all();
        }
    }

    fn unit(&self, unit: Unit) {
        match unit.work {
            Work::Alone(test) => {
                if self.selected(&unit.name) {
                    let begun = Instant::now();
                    let verdict = caught(|| test(self.context));
                    self.note(&unit.name, verdict, begun, None);
                }
            }
            Work::Told(tell) => self.told(&unit.name, &*tell),
            Work::Boot(plan) => BootRun { run: self, name: &unit.name, plan: &plan, guest: None }.all(),
        }
    }

    /// What the tests are called is known once they have run: a filter that could name one boots the machine.
    fn told(&self, unit: &str, tell: &dyn Fn(&Context) -> Result<Told, String>) {
        let begun = Instant::now();
        match caught(|| tell(self.context)) {
            Err(reason) => self.note(unit, Err(reason), begun, None),
            Ok(told) => {
                for (name, verdict) in told.tests {
                    let name = format!("{unit}: {name}");
                    if self.selected(&name) {
                        self.note(&name, verdict, begun, Some(told.record.clone()));
                    }
                }
            }
        }
    }

    fn selected(&self, name: &str) -> bool {
        self.filters.is_empty() || self.filters.iter().any(|filter| name.contains(filter.as_str()))
    }

    fn note(&self, name: &str, verdict: Verdict, begun: Instant, record: Option<String>) {
        let time = begun.elapsed();
        let line = match &verdict {
            Ok(()) => format!("ok    {name} ({:.1} s)", time.as_secs_f64()),
            Err(reason) => format!("FAIL  {name} ({:.1} s): {reason}", time.as_secs_f64()),
        };
        if let Err(reason) = &verdict {
            self.save(name, &format!("{name}\n{reason}\n\n{}", record.unwrap_or_default()));
        }
        let mut rows = lock(&self.rows);
        self.say(&line);
        rows.push(Row { name: name.to_owned(), verdict, time });
    }

    fn say(&self, line: &str) {
        if !self.context.quiet {
            println!("{line}");
        }
    }

    fn save(&self, name: &str, text: &str) {
        let file: String = name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
        let path = self.logs.join(format!("{file}.log"));
        if let Err(error) = std::fs::create_dir_all(&self.logs).and_then(|()| std::fs::write(&path, text)) {
            eprintln!("can't save {}: {error}", path.display());
        }
    }

    fn close(self) -> bool {
        let rows = self.rows.into_inner().unwrap_or_else(PoisonError::into_inner);
        let failed: Vec<_> = rows.iter().filter(|row| row.verdict.is_err()).collect();
        let results: Vec<_> = rows
            .iter()
            .map(|row| {
                json!({
                    "name": row.name, "passed": row.verdict.is_ok(), "seconds": row.time.as_secs_f64(),
                    "reason": row.verdict.as_ref().err(),
                })
            })
            .collect();
        let path = self.context.build().join("test-results.json");
        if let Err(error) = std::fs::write(&path, format!("{:#}\n", serde_json::Value::from(results))) {
            eprintln!("can't write {}: {error}", path.display());
        }
        if !failed.is_empty() && !self.context.quiet {
            println!("failed (logs in {}):", self.logs.display());
            for row in &failed {
                println!("  {}", row.name);
            }
        }
        if !self.context.quiet {
            println!("{} passed, {} failed", rows.len() - failed.len(), failed.len());
        }
        // The counts are what callers read: they must not stay in a buffer.
        let _ = std::io::stdout().flush();
        failed.is_empty() && !rows.is_empty()
    }
}

/// One boot's cases on their way.
struct BootRun<'r> {
    run: &'r Run<'r>,
    name: &'r str,
    plan: &'r BootPlan,
    guest: Option<Guest>,
}

impl BootRun<'_> {
    fn all(&mut self) {
        let full = |name: &str| format!("{}: {name}", self.name);
        let cases: Vec<_> = self.plan.cases.iter().filter(|case| self.run.selected(&full(&case.name))).collect();
        let after: Vec<_> = self.plan.after.iter().filter(|case| self.run.selected(&full(&case.name))).collect();
        // What a program would list is known only inside: a filter that names the unit, or
        // could name one of those, boots it.
        let discover = self.plan.discover.as_deref();
        if cases.is_empty() && after.is_empty() && discover.is_none() {
            return;
        }
        let folder = match scratch() {
            Ok(folder) => folder,
            Err(reason) => return self.run.note(self.name, Err(reason), Instant::now(), None),
        };
        // What the machine leaves behind is the work of all its cases.
        let cases = if after.is_empty() { cases } else { self.plan.cases.iter().collect() };
        for case in cases {
            self.case(&folder, &case.name, &*case.run);
        }
        if let Some(program) = discover {
            self.discovered(&folder, program);
        }
        self.power_off(&folder, &after);
    }

    fn discovered(&mut self, folder: &TempDir, program: &str) {
        let names = Mutex::new(Vec::new());
        // Noted only when it fails: the list is no test of its own.
        let begun = Instant::now();
        let listed = self.attempt(folder, &|session| {
            *lock(&names) = session.expect(&[program, "list"])?.lines().map(str::to_owned).collect();
            if lock(&names).is_empty() {
                return Err(format!("{program} lists no tests"));
            }
            Ok(())
        });
        if let Err(reason) = listed {
            return self.note("list", Err(reason), begun);
        }
        for name in lock(&names).drain(..) {
            if self.run.selected(&format!("{}: {name}", self.name)) {
                self.case(folder, &name, &|session| session.expect(&[program, &name]).map(drop));
            }
        }
    }

    fn case(&mut self, folder: &TempDir, name: &str, test: &dyn Fn(&mut Session<'_>) -> Verdict) {
        let begun = Instant::now();
        let verdict = self.attempt(folder, test);
        self.note(name, verdict, begun);
        if self.guest.as_ref().is_some_and(Guest::is_over) {
            self.guest = None; // the next case boots anew
        }
    }

    /// Runs a test in the machine, which is booted first when there is none.
    fn attempt(&mut self, folder: &TempDir, test: &dyn Fn(&mut Session<'_>) -> Verdict) -> Verdict {
        if self.guest.is_none() {
            self.boot(folder)?;
        }
        let Some(guest) = &mut self.guest else { return Err("no machine".into()) };
        let mark = guest.emulator().log().len();
        let deadline = Deadline::after(self.plan.case_time);
        let verdict = caught(|| test(&mut Session { guest: &mut *guest, folder: folder.path(), deadline }));
        // An answer over QMP, so that what the kernel logged meanwhile has come; should it come even
        // later, switching off finds it.
        if !guest.is_over() {
            let _ = guest.emulator().qmp().status();
        }
        match panic_line(guest.emulator().log(), mark) {
            Some(line) => Err(format!("kernel panic: {line}")),
            None => verdict,
        }
    }

    fn boot(&mut self, folder: &TempDir) -> Verdict {
        let mut machine = (self.plan.machine)(self.run.context, folder.path())?;
        if machine.handouts.is_empty() {
            machine.handouts = crate::guest::handouts(&[], &[]).map_err(|error| error.to_string())?;
        }
        let deadline = Deadline::after(BOOT);
        let guest = Guest::boot(&machine, deadline, Box::new(|_| {})).map_err(|error| error.to_string())?;
        let guest = self.guest.insert(guest);
        guest.wait_ready(deadline).map_err(|end| format!("booting: {end}"))
    }

    /// Ends the machine in order; only then are the tests of what it left behind worth anything.
    fn power_off(&mut self, folder: &TempDir, after: &[&AfterCase]) {
        let begun = Instant::now();
        let ended = match &mut self.guest {
            Some(guest) => guest.power_off(Deadline::after(POWER_OFF)),
            None => Err(End::Gone("its last case ended it".into())),
        };
        match ended {
            Ok(()) => {
                for case in after {
                    let begun = Instant::now();
                    self.note(&case.name, caught(|| (case.run)(folder.path())), begun);
                }
            }
            Err(end) if self.guest.is_some() || !after.is_empty() => {
                self.note("switches off", Err(end.to_string()), begun);
            }
            Err(_) => {} // the case that ended it has failed already
        }
        self.guest = None;
    }

    fn note(&self, case: &str, verdict: Verdict, begun: Instant) {
        let record = verdict.is_err().then(|| self.guest.as_ref().map(Guest::record)).flatten();
        self.run.note(&format!("{}: {case}", self.name), verdict, begun, record);
    }
}

fn panic_line(log: &Capture, from: usize) -> Option<String> {
    let bytes = log.bytes();
    let text = String::from_utf8_lossy(bytes.get(from..).unwrap_or_default()).into_owned();
    text.lines().find_map(|line| line.strip_prefix(PANIC_PREFIX).map(|rest| rest.trim().to_owned()))
}

/// A test that panics on the host has failed; the others go on.
fn caught<T>(test: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(test)).unwrap_or_else(|payload| {
        let words = payload.downcast_ref::<String>().map(String::as_str);
        let words = words.or_else(|| payload.downcast_ref::<&str>().copied()).unwrap_or("no words");
        Err(format!("the test panicked: {words}"))
    })
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
