//! No emulator and no scratch folder is left behind, whatever ends this
//! process.
//!
//! Three nets, each for what the one before lets through: the owner's `Drop` kills and removes;
//! a thread that waits for SIGINT, SIGTERM and SIGHUP does the same for all and then lets the
//! signal have its usual effect; and `setpriv --pdeathsig KILL` has Linux kill the emulator when
//! even we are killed outright. (The last works per thread: an emulator belongs to the thread
//! that starts it, and that thread must live as long.)

use std::path::PathBuf;
use std::process::{Child, ChildStderr, Command, ExitStatus};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, Once, PoisonError};
use std::time::Duration;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::deadline::Deadline;
use crate::error::{Error, Result};

type SharedChild = Arc<Mutex<Child>>;

struct Entry {
    child: SharedChild,
    folder: PathBuf,
}

static LIVE: Mutex<Vec<Entry>> = Mutex::new(Vec::new());

/// A signal is ending this process: set before the first child is killed for it.
static ENDING: AtomicBool = AtomicBool::new(false);

/// A child process that dies with its owner, and the scratch folder that goes with it.
pub struct Owned {
    child: SharedChild,
}

/// A command whose process Linux kills when the thread that started it ends.
pub fn command(program: &str) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--", program]);
    command
}

/// Starts `command`, and remembers it and `folder` until the result is dropped.
///
/// # Errors
/// When the program can't be started.
pub fn spawn(command: Command, folder: PathBuf) -> Result<Owned> {
    spawn_child(command, folder).map(|(owned, _)| owned)
}

/// As [`spawn`], for a command whose standard error is a pipe; its reading end too.
///
/// # Errors
/// As [`spawn`]; also when standard error is no pipe.
pub fn spawn_with_errors(command: Command, folder: PathBuf) -> Result<(Owned, ChildStderr)> {
    let (owned, errors) = spawn_child(command, folder)?;
    let errors = errors.ok_or_else(|| Error::Emulator("standard error is not a pipe".into()))?;
    Ok((owned, errors))
}

fn spawn_child(mut command: Command, folder: PathBuf) -> Result<(Owned, Option<ChildStderr>)> {
    watch_signals();
    // Held over the start, so that a signal finds either no child or a registered one.
    let mut live = lock(&LIVE);
    let program = format!("starting {}", command.get_program().to_string_lossy());
    let mut child = command.spawn().map_err(Error::host(program))?;
    let errors = child.stderr.take();
    let child = Arc::new(Mutex::new(child));
    live.push(Entry { child: Arc::clone(&child), folder });
    Ok((Owned { child }, errors))
}

impl Owned {
    /// Waits until the process has ended; `None` when the deadline comes first.
    pub fn wait(&self, deadline: Deadline) -> Option<ExitStatus> {
        // The process gives no event to wait for without a signal handler of its own; its
        // sockets do, and callers wait for those first. This only collects the status.
        let mut pause = Duration::from_millis(1);
        loop {
            // The lock is given back before anything else is done.
            let tried = lock(&self.child).try_wait();
            if let Ok(Some(status)) = tried {
                leave_it_to_the_signal();
                return Some(status);
            }
            if deadline.passed() {
                return None;
            }
            std::thread::sleep(pause.min(deadline.left()));
            pause = (pause * 2).min(Duration::from_millis(100));
        }
    }

    /// Waits until the process has ended, however long it takes.
    pub fn finish(&self) -> ExitStatus {
        loop {
            // In slices, so that a signal finds the process free to be killed.
            if let Some(status) = self.wait(Deadline::seconds(3600)) {
                return status;
            }
        }
    }

    /// Kills the process, if it still runs, and collects it.
    pub fn kill(&self) {
        finish(&self.child);
    }

    /// The process's number, for messages.
    pub fn id(&self) -> u32 {
        lock(&self.child).id()
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        finish(&self.child);
        leave_it_to_the_signal();
        lock(&LIVE).retain(|entry| !Arc::ptr_eq(&entry.child, &self.child));
    }
}

/// Kills every child and removes every folder.
fn finish_all() {
    for entry in lock(&LIVE).drain(..) {
        finish(&entry.child);
        // Best effort on the way out: the folder may be gone already.
        let _ = std::fs::remove_dir_all(&entry.folder);
    }
}

/// When a signal ends this process, whoever notices that a child is gone must not report it as
/// the child's doing and exit first with another status: the signal's thread has the last word.
fn leave_it_to_the_signal() {
    while ENDING.load(Ordering::SeqCst) {
        std::thread::park();
    }
}

fn finish(child: &SharedChild) {
    let mut child = lock(child);
    // Both fail only when the child has been collected already, which is the aim.
    let _ = child.kill();
    let _ = child.wait();
}

fn watch_signals() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let Ok(mut signals) = Signals::new([SIGINT, SIGTERM, SIGHUP]) else {
            return; // the other two nets still hold
        };
        std::thread::spawn(move || {
            if let Some(signal) = signals.forever().next() {
                ENDING.store(true, Ordering::SeqCst);
                finish_all();
                // Ends this process the way the signal would have.
                let _ = signal_hook::low_level::emulate_default_handler(signal);
                std::process::exit(128 + signal);
            }
        });
    });
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alive(id: u32) -> bool {
        // A collected process has no entry; a zombie still has one.
        std::path::Path::new(&format!("/proc/{id}")).exists()
    }

    fn sleeper() -> Owned {
        let mut command = command("sleep");
        command.arg("600");
        spawn(command, PathBuf::from("/nonexistent/limitless")).expect("setpriv and sleep")
    }

    #[test]
    fn a_child_ends_with_its_owner() {
        let child = sleeper();
        let id = child.id();
        assert!(child.wait(Deadline::after(Duration::from_millis(20))).is_none());
        assert!(alive(id));
        drop(child);
        assert!(!alive(id));
    }

    #[test]
    fn a_childs_status_is_collected_once_it_has_ended() {
        let mut command = command("sh");
        command.args(["-c", "exit 7"]);
        let child = spawn(command, PathBuf::from("/nonexistent/limitless")).expect("spawn");
        assert_eq!(child.wait(Deadline::seconds(20)).and_then(|status| status.code()), Some(7));
    }

    #[test]
    fn a_child_ends_with_the_thread_that_started_it() {
        let (id, keep) = std::thread::spawn(|| {
            let child = sleeper();
            // setpriv must have asked for the signal before this thread ends: it has when
            // the process is no longer setpriv.
            let comm = format!("/proc/{}/comm", child.id());
            let deadline = Deadline::seconds(20);
            while std::fs::read_to_string(&comm).unwrap_or_default().trim() != "sleep" {
                assert!(!deadline.passed(), "setpriv never became sleep");
                std::thread::yield_now();
            }
            (child.id(), child)
        })
        .join()
        .expect("thread");
        let status = keep.wait(Deadline::seconds(20)).expect("killed by the kernel");
        assert!(!status.success());
        assert!(!alive(id));
    }
}
