//! What sessions are ready for: told when they are opened, when it changes, and
//! again after a restart.

use scheme::event::Readiness;
use scheme::host::Harness;
use scheme::scheme::{Caller, Opened, Outcome, Scheme};
use scheme::wire::OpenFlags;

/// A bell that is ready for reading after each event.
#[derive(Default)]
struct Bell {
    sessions: Vec<u64>,
    changes: Vec<(u64, Readiness, Readiness)>,
}

impl Scheme for Bell {
    fn open(&mut self, _: &Caller, path: &str, _: OpenFlags) -> Outcome<Opened> {
        Ok(Opened::new(path.len() as u64))
    }
    fn readiness(&mut self, caller: &Caller) -> Readiness {
        self.sessions.push(caller.badge);
        if caller.id == 3 {
            Readiness::ERROR
        } else {
            Readiness::WRITE
        }
    }
    fn readiness_changes(&mut self, tell: &mut dyn FnMut(u64, Readiness, Readiness)) {
        self.changes.drain(..).for_each(|(badge, set, clear)| tell(badge, set, clear));
    }
    fn event(&mut self, bits: u64) {
        let (set, clear) = match bits {
            1 => (Readiness::READ, Readiness::empty()),
            _ => (Readiness::empty(), Readiness::READ),
        };
        self.changes.extend(self.sessions.iter().map(|badge| (*badge, set, clear)));
    }
}

#[test]
fn a_session_is_ready_for_what_its_server_says() {
    let harness = Harness::new(Bell::default());
    let root = harness.root();
    assert_eq!(harness.readiness(&root), (Readiness::empty(), 0), "nobody was asked yet");
    let bell = root.open_at("x", OpenFlags::READ).unwrap();
    let broken = root.open_at("bad", OpenFlags::READ).unwrap();
    assert_eq!(harness.readiness(&root), (Readiness::WRITE, 1), "a root session is seen with its first call");
    assert_eq!(harness.readiness(&bell), (Readiness::WRITE, 1));
    assert_eq!(harness.readiness(&broken), (Readiness::ERROR, 1));
    harness.event(1);
    assert_eq!(harness.readiness(&bell), (Readiness::WRITE | Readiness::READ, 2));
    harness.event(1);
    assert_eq!(harness.readiness(&bell), (Readiness::WRITE | Readiness::READ, 3), "set again, an edge again");
    harness.event(2);
    assert_eq!(harness.readiness(&bell), (Readiness::WRITE, 3));
}

#[test]
fn readiness_is_asserted_again_after_a_restart() {
    let harness = Harness::with_keepsake(64 * 1024, Bell::default);
    let root = harness.root();
    let bell = root.open_at("x", OpenFlags::READ).unwrap();
    harness.event(1);
    let (_, before) = harness.readiness(&bell);
    harness.restart();
    let (ready, after) = harness.readiness(&bell);
    assert_eq!(ready, Readiness::WRITE, "what the new server says, and no more");
    assert_eq!(after, before + 1, "whoever waits for an edge is woken once more");
    assert_eq!(harness.readiness(&root).1, 3, "opened, rung, opened again");
}

#[test]
fn a_session_that_is_not_opened_again_is_ready_so_that_its_holder_asks() {
    let harness = Harness::with_keepsake(0, Bell::default);
    let bell = harness.root().open_at("bad", OpenFlags::READ).unwrap();
    assert_eq!(harness.readiness(&bell), (Readiness::ERROR, 1));
    harness.restart();
    assert_eq!(harness.readiness(&bell), (Readiness::READ | Readiness::WRITE, 2));
}
