//! Every order of the events in the life of one call, for each way to use what it lends, against a model.
//!
//! The client calls, lending pages; the server receives, uses the lease (copies, maps, pins, or passes it on to a
//! driver that does so), and answers; in between, at every point, the call is cancelled, its deadline passes,
//! client, server or driver die, the reply object is dropped, the driver is done, the domain is released. After
//! each event the client must be where the model says, the kernel's data must hold together, and in the end
//! everything must be given back to the frame.

mod kit;

use abi::call::Call;
use abi::message::{buffer, LeaseAccess};
use abi::{Error, Handle, Kind, Rights};
use kernel_core::address::VirtAddr;
use kernel_core::id::Id;
use kernel_core::machine::Machine;
use kernel_core::object::{Process, ThreadState};
use kernel_core::object::Thread;
use kernel_core::world::{Outcome, World, LENT};
use kit::{extras, Pair};

/// How the lease is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Use {
    Copy,
    Map,
    Pin,
    PassCopy,
    PassMap,
    PassPin,
}

const USES: [Use; 6] = [Use::Copy, Use::Map, Use::Pin, Use::PassCopy, Use::PassMap, Use::PassPin];

impl Use {
    fn passes(self) -> bool {
        matches!(self, Use::PassCopy | Use::PassMap | Use::PassPin)
    }
    fn pins(self) -> bool {
        matches!(self, Use::Pin | Use::PassPin)
    }
    fn maps(self) -> bool {
        matches!(self, Use::Map | Use::PassMap)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Event {
    Call,
    Receive,
    /// The server uses the lease itself, or passes it on and the driver uses it.
    Use,
    /// Whoever pinned closes the pin; a driver then answers.
    Done,
    Reply,
    Cancel,
    Deadline,
    ClientDies,
    ServerDies,
    DriverDies,
    DropReply,
    Release,
}

const EVENTS: [Event; 12] = [
    Event::Call,
    Event::Receive,
    Event::Use,
    Event::Done,
    Event::Reply,
    Event::Cancel,
    Event::Deadline,
    Event::ClientDies,
    Event::ServerDies,
    Event::DriverDies,
    Event::DropReply,
    Event::Release,
];

/// Where the call is, as the server's side sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    NotMade,
    Queued,
    /// Received; the reply object is bound, its caller waits or not.
    Bound,
    /// Nobody will answer; something below still holds.
    Dead,
    Over,
}

/// What should be.
#[derive(Clone, Debug)]
struct Model {
    how: Use,
    stage: Stage,
    /// What the client was told, once it was.
    told: Option<Result<(), Error>>,
    /// What it will be told if the call ends without an answer.
    end: Option<Error>,
    client_waits: bool,
    client: bool,
    server: bool,
    driver: bool,
    server_receiving: bool,
    withdrawn: bool,
    /// The server's own use.
    mapped: bool,
    /// A pin, by whom it is held: live or in quarantine.
    pinned: bool,
    quarantined: bool,
    /// The driver has the lease in a call of the server's that it has not answered.
    passed: bool,
    passed_mapped: bool,
    /// The server's second thread waits for the driver.
    helper_waits: bool,
    used: bool,
    reply: bool,
}

impl Model {
    fn new(how: Use) -> Model {
        Model {
            how,
            stage: Stage::NotMade,
            told: None,
            end: None,
            client_waits: false,
            client: true,
            server: true,
            driver: true,
            server_receiving: false,
            withdrawn: false,
            mapped: false,
            pinned: false,
            quarantined: false,
            passed: false,
            passed_mapped: false,
            helper_waits: false,
            used: false,
            reply: true,
        }
    }

    fn holds_below(&self) -> bool {
        self.passed_mapped || self.pinned
    }
    fn holds(&self) -> bool {
        self.mapped || self.holds_below()
    }
    fn tell(&mut self, what: Result<(), Error>) {
        if self.client_waits {
            self.client_waits = false;
            self.told = Some(what);
        }
    }
    /// The server's side of the call is gone: it ends as soon as nothing holds.
    fn abandon(&mut self, error: Error) {
        if self.stage == Stage::Bound {
            self.end.get_or_insert(error);
            self.withdrawn = true;
            self.mapped = false;
            self.stage = Stage::Dead;
        }
        self.settle();
    }
    fn settle(&mut self) {
        if self.stage == Stage::Dead && !self.holds() {
            self.stage = Stage::Over;
            let end = self.end.unwrap_or(Error::Restarted);
            self.tell(Err(end));
        }
    }

    /// Whether the event can happen now, and makes it happen.
    fn apply(&mut self, event: Event) -> bool {
        let possible = match event {
            Event::Call => self.stage == Stage::NotMade && self.client && self.told.is_none(),
            Event::Receive => self.server && self.reply && !self.server_receiving && self.stage != Stage::Bound,
            Event::Use => {
                let ready = !self.how.passes() || self.driver;
                !self.used && self.server && self.reply && self.stage == Stage::Bound && ready
            }
            Event::Done => {
                let mine = self.pinned && !self.quarantined || self.passed;
                self.used && mine && if self.how.passes() { self.driver } else { self.server }
            }
            Event::Reply => self.server && self.reply && self.stage == Stage::Bound,
            Event::Cancel | Event::Deadline => self.client && self.client_waits,
            Event::ClientDies => self.client,
            Event::ServerDies => self.server,
            Event::DriverDies => self.driver && self.how.passes(),
            Event::DropReply => self.server && self.reply,
            Event::Release => self.quarantined,
        };
        if possible {
            self.happen(event);
        }
        possible
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Call => {
                self.client_waits = true;
                self.stage = if self.server_receiving { Stage::Bound } else { Stage::Queued };
                self.server_receiving = false;
            }
            Event::Receive => match self.stage {
                Stage::Queued => self.stage = Stage::Bound,
                _ => self.server_receiving = true,
            },
            Event::Use => {
                self.used = true;
                if !self.withdrawn {
                    self.mapped = self.how == Use::Map;
                    self.pinned = self.how.pins();
                    self.passed = self.how.passes();
                    self.passed_mapped = self.how == Use::PassMap;
                    self.helper_waits = self.how.passes();
                }
            }
            Event::Done => {
                // A pin in quarantine stays, even if the driver lives to answer.
                self.pinned &= self.quarantined;
                if self.passed && !self.pinned {
                    self.passed = false;
                    self.passed_mapped = false;
                    self.helper_waits = false;
                }
                self.settle();
            }
            Event::Reply => {
                if !self.holds_below() {
                    self.mapped = false;
                    self.stage = Stage::Over;
                    self.withdrawn = true;
                    self.tell(Ok(()));
                }
            }
            Event::Cancel | Event::Deadline => {
                let error = if event == Event::Cancel { Error::Cancelled } else { Error::TimedOut };
                match self.stage {
                    Stage::Queued => {
                        self.stage = Stage::Over;
                        self.tell(Err(error));
                    }
                    _ => {
                        self.withdrawn = true;
                        if event == Event::Deadline && !self.holds() {
                            self.tell(Err(error));
                        } else {
                            self.end.get_or_insert(error);
                        }
                    }
                }
            }
            Event::ClientDies => {
                self.client = false;
                self.client_waits = false;
                self.withdrawn = true;
                if self.stage == Stage::Queued {
                    self.stage = Stage::Over;
                }
            }
            Event::ServerDies => {
                self.server = false;
                self.server_receiving = false;
                self.helper_waits = false;
                if self.pinned && !self.how.passes() {
                    self.quarantined = true;
                }
                if self.passed && !self.holds_below() {
                    // The call below is withdrawn; the driver still has to answer it, which no longer matters here.
                    self.passed = true;
                }
                self.abandon(Error::Restarted);
            }
            Event::DriverDies => {
                self.driver = false;
                self.passed_mapped = false;
                if self.pinned {
                    self.quarantined = true;
                } else {
                    self.helper_waits = false;
                }
                self.passed = false;
                self.settle();
            }
            Event::DropReply => {
                self.reply = false;
                self.server_receiving = false;
                self.abandon(Error::Closed);
            }
            Event::Release => {
                self.pinned = false;
                self.quarantined = false;
                if !self.driver {
                    self.helper_waits = false;
                }
                self.settle();
            }
        }
    }
}

/// The kernel's side of it.
struct Scene {
    p: Pair,
    how: Use,
    cancel: u64,
    deadline: u64,
    domain: u64,
    /// The server's second thread, its session to the driver.
    s2: Id<Thread>,
    to_driver: u64,
    driver: Id<Process>,
    d: Id<Thread>,
    d_endpoint: u64,
    d_reply: u64,
    d_domain: u64,
    s_domain: u64,
    pin: Option<u64>,
    mapped_at: u64,
    /// The frame behind the lent pages.
    frame: kernel_core::address::FrameNumber,
}

impl Scene {
    fn new(w: World, how: Use) -> Scene {
        let mut p = Pair::with(w, [10, 10, 10]);
        // The keeper holds the session too, so that its end is not among the events here.
        p.w.give(p.client, p.session, p.keeper);
        let cancel = p.w.kernel.cap_insert(p.keeper, Kind::Thread, p.c.raw(), Rights::all(), None).expect("room").word();
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

    fn happen(&mut self, event: Event, before: &Model) {
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
        }
    }

    fn use_lease(&mut self, before: &Model) {
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

    fn done(&mut self) {
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
    fn compare(&self, model: &Model, trail: &[Event]) {
        let p = &self.p;
        let outcome = p.w.outcome(p.c);
        let expected = match (model.client, model.client_waits, model.told) {
            (false, ..) => Outcome::Gone,
            (true, true, _) => Outcome::Waits,
            (true, false, Some(Err(error))) => Outcome::Failed(error),
            (true, false, _) => Outcome::Done([0; 4]),
        };
        let same = matches!((outcome, expected), (Outcome::Done(_), Outcome::Done(_))) || outcome == expected;
        assert!(same, "{:?} {trail:?}: the client is {outcome:?}, not {expected:?}", self.how);
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
    fn frame_mapped(&self, process: Id<Process>, address: u64) -> Option<kernel_core::address::FrameNumber>;
}

impl Mapped for World {
    fn frame_mapped(&self, process: Id<Process>, address: u64) -> Option<kernel_core::address::FrameNumber> {
        let space = self.kernel.processes[process].space.get()?;
        let root = self.kernel.spaces[space].root.get();
        self.kernel.machine.translate(root, VirtAddr(address)).and_then(|t| t.address.frame())
    }
}

/// Tries every order of events after `trail`, each from a fresh scene in the same kernel.
fn explore(w: &mut Option<World>, how: Use, trail: &mut Vec<Event>, depth: usize, count: &mut u64) {
    for event in EVENTS {
        // Some things happen once; the rest as often as the model finds it possible.
        let again = matches!(event, Event::Receive | Event::Cancel);
        if trail.contains(&event) && (!again || trail.iter().filter(|e| **e == event).count() > 1) {
            continue;
        }
        let mut model = Model::new(how);
        assert!(trail.iter().all(|e| model.apply(*e)));
        if !model.apply(event) {
            continue;
        }
        trail.push(event);
        if depth == 1 || trail.len() >= depth {
            run(w, how, trail);
            *count += 1;
        } else {
            let before = *count;
            explore(w, how, trail, depth, count);
            if *count == before {
                // Nothing can follow: a run of its own.
                run(w, how, trail);
                *count += 1;
            }
        }
        trail.pop();
    }
}

fn run(w: &mut Option<World>, how: Use, trail: &[Event]) {
    let mut scene = Scene::new(w.take().expect("one scene at a time"), how);
    let mut model = Model::new(how);
    for (n, event) in trail.iter().enumerate() {
        let before = model.clone();
        assert!(model.apply(*event));
        scene.happen(*event, &before);
        scene.compare(&model, &trail[..=n]);
    }
    // Pins in quarantine are the domain's: it is released, and then all is given back.
    let mut world = scene.p.w;
    let keeper = scene.p.keeper;
    for process in world.kernel.processes.iter_used().collect::<Vec<_>>() {
        if process != keeper {
            world.kill(process);
        }
    }
    world.ok(scene.p.k, Call::DomainRelease, &[scene.domain]);
    world.end();
    *w = Some(world);
}

fn all_orders(how: Use, depth: usize) {
    let mut world = Some(World::new());
    let mut count = 0;
    explore(&mut world, how, &mut Vec::new(), depth, &mut count);
    println!("{how:?}: {count} orders");
    assert!(count > 50);
}

/// Events in a row. `INTERLEAVINGS` asks for more.
fn depth() -> usize {
    std::env::var("INTERLEAVINGS").ok().and_then(|d| d.parse().ok()).unwrap_or(6)
}

#[test]
fn every_order_of_events_with_a_copied_lease() {
    all_orders(USES[0], depth());
}

#[test]
fn every_order_of_events_with_a_mapped_lease() {
    all_orders(USES[1], depth());
}

#[test]
fn every_order_of_events_with_a_pinned_lease() {
    all_orders(USES[2], depth());
}

#[test]
fn every_order_of_events_with_a_lease_passed_on_and_copied() {
    all_orders(USES[3], depth());
}

#[test]
fn every_order_of_events_with_a_lease_passed_on_and_mapped() {
    all_orders(USES[4], depth());
}

#[test]
fn every_order_of_events_with_a_lease_passed_on_and_pinned() {
    all_orders(USES[5], depth());
}
