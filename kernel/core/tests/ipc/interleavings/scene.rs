//! What does happen: a client, a server and a driver on the kernel, and the
//! events made to them.

use super::model::{Event, Model, Stage, Use};
use crate::kit::{extras, Pair};
use abi::call::Call;
use abi::message::{buffer, LeaseAccess};
use abi::{Error, Handle, Kind, Rights};
use kernel_core::address::{FrameNumber, VirtAddr};
use kernel_core::id::Id;
use kernel_core::machine::Machine;
use kernel_core::object::{Process, Thread, ThreadState};
use kernel_core::world::{Outcome, World, LENT};

/// Where the client's upcall handler is.
const HANDLER: u64 = LENT + 0x123;

/// The kernel's side of it.
pub struct Scene {
    pub p: Pair,
    pub how: Use,
    pub cancel: u64,
    pub deadline: u64,
    pub domain: u64,
    /// The server's second thread, its session to the driver.
    pub s2: Id<Thread>,
    pub to_driver: u64,
    pub driver: Id<Process>,
    pub d: Id<Thread>,
    pub d_endpoint: u64,
    pub d_reply: u64,
    pub d_domain: u64,
    pub s_domain: u64,
    pub pin: Option<u64>,
    pub mapped_at: u64,
    /// The frame behind the lent pages.
    pub frame: FrameNumber,
}

impl Scene {
    pub fn new(w: World, how: Use) -> Scene {
        let mut p = Pair::with(w, [10, 10, 10]);
        // The keeper holds the session too, so that its end is not among the events here.
        p.w.give(p.client, p.session, p.keeper);
        let cancel =
            p.w.kernel.cap_insert(p.keeper, Kind::Thread, p.c.raw(), Rights::all(), None).expect("room").word();
        let root = p.w.kernel.root_quota();
        let domain = p.w.kernel.domain_new(root, false).expect("memory");
        let domain =
            p.w.kernel.cap_insert(p.keeper, Kind::DmaDomain, domain.raw(), Rights::all(), None).expect("room").word();
        let s2 = p.w.thread(p.server, 10);
        let driver = p.w.process();
        let d = p.w.thread(driver, 10);
        let d_quota = p.w.quota_handle(driver);
        let k_end = p.w.ok(p.k, Call::EndpointCreate, &[p.k_quota])[0];
        let d_endpoint = p.w.give(p.keeper, k_end, driver);
        let k_session = p.w.ok(p.k, Call::SessionCreate, &[k_end, 1, 0])[0];
        let to_driver = p.w.give(p.keeper, k_session, p.server);
        let d_reply = p.w.ok(d, Call::ReplyCreate, &[d_quota])[0];
        let d_domain = p.w.give(p.keeper, domain, driver);
        let s_domain = p.w.give(p.keeper, domain, p.server);
        let deadline = p.w.now() + 1_000_000;
        p.w.buffer_set(p.c, buffer::DEADLINE, deadline);
        p.w.ok(p.c, Call::UpcallHandler, &[HANDLER, LENT + 8 * 4096, 4096, 0]);
        p.w.lend(p.c, 0, LENT, 2 * 4096, LeaseAccess::READ | LeaseAccess::WRITE, 0);
        p.w.kernel.user_write(p.client, LENT, b"lent").expect("mapped");
        let frame = p.w.frame(p.client, LENT);
        Scene {
            p,
            how,
            cancel,
            deadline,
            domain,
            s2,
            to_driver,
            driver,
            d,
            d_endpoint,
            d_reply,
            d_domain,
            s_domain,
            pin: None,
            mapped_at: 0,
            frame,
        }
    }

    pub fn happen(&mut self, event: Event, before: &Model) {
        let p = &mut self.p;
        match event {
            Event::Call => p.w.waits(p.c, Call::Call, &[p.session, 1, extras(0, 1, true)]),
            Event::Receive => {
                let outcome = p.w.call(p.s, Call::Recv, &[p.endpoint, 0, 0, p.reply]);
                // A reply object that is taken can't receive: the model calls that stage Dead.
                match before.stage {
                    Stage::Queued => assert!(matches!(outcome, Outcome::Done(_)), "{outcome:?}"),
                    _ => assert_eq!(outcome, Outcome::Waits),
                }
            }
            Event::Use => self.use_lease(before),
            Event::Done => self.done(),
            Event::Reply => {
                let outcome = p.w.call(p.s, Call::Reply, &[p.reply, 2, 0]);
                if before.holds_below() {
                    assert_eq!(outcome, Outcome::Failed(Error::Busy));
                } else {
                    assert!(matches!(outcome, Outcome::Done(_)), "{outcome:?}");
                }
            }
            Event::Cancel => {
                p.w.ok(p.k, Call::ThreadCancel, &[self.cancel]);
            }
            Event::Deadline => {
                let at = self.deadline.max(p.w.now());
                p.w.time(at);
            }
            Event::ClientDies => p.w.kill(p.client),
            Event::ServerDies => p.w.kill(p.server),
            Event::DriverDies => p.w.kill(self.driver),
            Event::DropReply => {
                let thread = if p.state(p.s) == ThreadState::Receiving { self.s2 } else { p.s };
                // The second thread may be in its own call: then the process's table is changed from outside.
                if matches!(p.state(thread), ThreadState::Ready | ThreadState::Running) {
                    p.w.ok(thread, Call::Close, &[p.reply]);
                } else {
                    let handle = Handle::from_word(p.reply).expect("32 bits");
                    p.w.kernel.cap_close(p.server, handle).expect("it is there");
                    p.w.check();
                }
            }
            Event::Release => {
                p.w.ok(p.k, Call::DomainRelease, &[self.domain]);
            }
            Event::Suspend => {
                p.w.ok(p.k, Call::ThreadSuspend, &[self.cancel]);
            }
            Event::Resume => {
                p.w.ok(p.k, Call::ThreadResume, &[self.cancel]);
            }
            Event::Upcall => {
                p.w.ok(p.k, Call::ThreadUpcall, &[self.cancel, 1]);
            }
            Event::Return => {
                let frame = p.w.kernel.threads[p.c].registers.rsp.get();
                p.w.call(p.c, Call::UpcallReturn, &[frame]);
                // A deadline that passed meanwhile brings the timer interrupt at once.
                let now = p.w.now();
                p.w.time(now);
            }
        }
    }

    pub fn use_lease(&mut self, before: &Model) {
        let how = self.how;
        let refused = before.withdrawn;
        if how.passes() {
            let p = &mut self.p;
            p.w.waits(self.d, Call::Recv, &[self.d_endpoint, 0, 0, self.d_reply]);
            p.w.lend(self.s2, 0, 4096, 4096, LeaseAccess::READ | LeaseAccess::WRITE | LeaseAccess::PASS_ON, p.reply);
            let outcome = p.w.call(self.s2, Call::Call, &[self.to_driver, 0, extras(0, 1, false)]);
            if refused {
                assert_eq!(outcome, Outcome::Failed(Error::Cancelled));
                return;
            }
            assert_eq!(outcome, Outcome::Waits);
        }
        let (thread, process, reply, domain, offset) = if how.passes() {
            (self.d, self.driver, self.d_reply, self.d_domain, 0)
        } else {
            (self.p.s, self.p.server, self.p.reply, self.s_domain, 4096)
        };
        let p = &mut self.p;
        let outcome = if how.maps() {
            p.w.call(thread, Call::LeaseMap, &[reply, 0, offset, 4096, 0, 1])
        } else if how.pins() {
            p.w.call(thread, Call::LeasePin, &[reply, 0, offset, 4096, domain])
        } else {
            p.w.call(thread, Call::LeaseRead, &[reply, 0, offset, LENT, 64])
        };
        if refused {
            assert_eq!(outcome, Outcome::Failed(Error::Cancelled));
            return;
        }
        let Outcome::Done(values) = outcome else { panic!("{outcome:?}") };
        let second = p.w.frame(p.client, LENT + 4096);
        if how.maps() {
            self.mapped_at = values[0];
            assert_eq!(p.w.frame_mapped(process, values[0]), Some(second), "the client's own frame");
        } else if how.pins() {
            self.pin = Some(values[0]);
            assert_eq!(p.w.buffer(thread, buffer::RANGES), second.address().0, "the client's own frame");
        } else {
            assert_eq!(values[0], 64);
        }
    }

    pub fn done(&mut self) {
        let p = &mut self.p;
        let thread = if self.how.passes() { self.d } else { p.s };
        if let Some(pin) = self.pin.take() {
            if matches!(p.state(thread), ThreadState::Ready | ThreadState::Running) {
                p.w.ok(thread, Call::Close, &[pin]);
            } else {
                let process = if self.how.passes() { self.driver } else { p.server };
                p.w.kernel.cap_close(process, Handle::from_word(pin).expect("32 bits")).expect("it is there");
                p.w.check();
            }
        }
        if self.how.passes() {
            p.w.ok(thread, Call::Reply, &[self.d_reply, 0, 0]);
        }
    }

    /// The client, the server and the frames are where the model says.
    pub fn compare(&self, model: &Model, trail: &[Event]) {
        let p = &self.p;
        let mut outcome = p.w.outcome(p.c);
        if model.client && model.in_upcall {
            let at = p.w.kernel.threads[p.c].registers.rip.get();
            assert_eq!((at, outcome == Outcome::Waits), (HANDLER, false), "{:?} {trail:?}", self.how);
            return self.compare_rest(model, trail);
        }
        if model.client && model.suspended {
            assert_eq!(outcome, Outcome::Waits, "{:?} {trail:?}", self.how);
            // What it will find.
            if p.state(p.c) == ThreadState::Suspended {
                let r = &p.w.kernel.threads[p.c].registers;
                outcome = abi::error::check(r.rax.get()).map_or_else(Outcome::Failed, |()| Outcome::Done([0; 4]));
            }
        }
        let expected = match (model.client, model.client_waits, model.told) {
            (false, ..) => Outcome::Gone,
            (true, true, _) => Outcome::Waits,
            (true, false, Some(Err(error))) => Outcome::Failed(error),
            (true, false, _) => Outcome::Done([0; 4]),
        };
        let same = matches!((outcome, expected), (Outcome::Done(_), Outcome::Done(_))) || outcome == expected;
        assert!(same, "{:?} {trail:?}: the client is {outcome:?}, not {expected:?}", self.how);
        self.compare_rest(model, trail);
    }

    fn compare_rest(&self, model: &Model, trail: &[Event]) {
        let p = &self.p;
        if model.server {
            let state = p.state(p.s);
            assert_eq!(state == ThreadState::Receiving, model.server_receiving, "{:?} {trail:?}", self.how);
            let helper = p.state(self.s2);
            let waits = helper == ThreadState::AwaitingReply;
            assert_eq!(waits, model.helper_waits, "{:?} {trail:?}", self.how);
        }
        if self.how.maps() && self.mapped_at != 0 {
            let (alive, process, there) = match self.how {
                Use::Map => (model.server, p.server, model.mapped),
                _ => (model.driver, self.driver, model.passed_mapped),
            };
            if alive {
                let mapped = p.w.frame_mapped(process, self.mapped_at).is_some();
                assert_eq!(mapped, there, "{:?} {trail:?}: the server's mapping", self.how);
            }
        }
        let _ = self.frame;
    }
}

/// What the page tables say.
trait Mapped {
    fn frame_mapped(&self, process: Id<Process>, address: u64) -> Option<FrameNumber>;
}

impl Mapped for World {
    fn frame_mapped(&self, process: Id<Process>, address: u64) -> Option<FrameNumber> {
        let space = self.kernel.processes[process].space.get()?;
        let root = self.kernel.spaces[space].root.get();
        self.kernel.machine.translate(root, VirtAddr(address)).and_then(|t| t.address.frame())
    }
}
