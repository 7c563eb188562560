//! Memory whose pages a server supplies: who asks, who is told, who goes on.

use crate::kit::Pair;
use abi::call::Call;
use abi::message::{Extras, LeaseAccess, Received};
use abi::{Error, Handle};
use kernel_core::fault::Fault;
use kernel_core::id::Id;
use kernel_core::object::{Process, ProcessState, Space, Thread, ThreadState};
use kernel_core::world::{Outcome, CPU, MEMORY};

pub const PAGE: u64 = 4096;
pub const KEY: u64 = 77;
pub const AT: u64 = 0x5000_0000;
pub const PAGES: u64 = 8;
pub const SELF_SPACE: u64 = Handle::SELF_SPACE.word();
pub const GRANTS: u64 = 1;
pub const READ: u64 = 1;
const WRITE: u64 = 3;
/// Where test processes keep what they copy.
pub const PLACE: u64 = MEMORY + 20 * PAGE;

/// A client that has mapped an object whose pager is the server.
pub struct Scene {
    pub p: Pair,
    /// Handles of the server's: the object; pages to supply.
    pub object: u64,
    pub source: u64,
}

impl Scene {
    pub fn new(flags: u64) -> Scene {
        let mut p = Pair::new();
        let object = p.w.ok(p.s, Call::PagerCreate, &[p.endpoint, p.quota, KEY, PAGES, flags])[0];
        let source = p.w.ok(p.s, Call::MemoryCreate, &[p.quota, 64, 0])[0];
        let client = p.client;
        let mut scene = Scene { p, object, source };
        scene.map(client);
        scene
    }

    /// Maps the object into a process whose first thread is the one given by the pair.
    pub fn map(&mut self, process: Id<Process>) -> u64 {
        let given = self.p.w.give(self.p.server, self.object, process);
        let thread = self.thread_of(process);
        self.p.w.ok(thread, Call::SpaceMap, &[SELF_SPACE, given, AT, 0, PAGES * PAGE, 3]);
        given
    }

    pub fn thread_of(&self, process: Id<Process>) -> Id<Thread> {
        let threads = &self.p.w.kernel.threads;
        threads.iter_used().find(|t| threads[*t].process.get() == Some(process)).expect("it has a thread")
    }

    /// A thread touches a page; answers whether it went through.
    pub fn touch(&mut self, thread: Id<Thread>, page: u64, write: bool) -> bool {
        self.p.w.force(thread);
        let code = if write { 6 } else { 4 };
        let _ = self.p.w.kernel.fault(CPU, Fault { vector: 14, code, address: AT + page * PAGE + 8 });
        self.p.w.check();
        matches!(self.p.state(thread), ThreadState::Running | ThreadState::Ready)
    }

    /// What a thread that receives is told: the page, and whether it is to be written.
    #[track_caller]
    fn told_by(&mut self, thread: Id<Thread>, endpoint: u64, reply: u64) -> (u64, bool) {
        let got = self.p.w.ok(thread, Call::Recv, &[endpoint, 0, 0, reply]);
        assert_eq!(Extras(got[2]).kind(), Received::PageRequest);
        let [key, page, write, ..] = self.p.w.words(thread);
        assert_eq!(key, KEY);
        (page, write == 1)
    }

    #[track_caller]
    pub fn told(&mut self) -> (u64, bool) {
        self.told_by(self.p.s, self.p.endpoint, self.p.reply)
    }

    #[track_caller]
    pub fn supply(&mut self, page: u64, from: u64, access: u64) -> u64 {
        self.p.w.ok(self.p.s, Call::PagerSupply, &[self.object, page, 1, self.source, from, access])[0]
    }

    /// Writes a byte into a page of the source, and supplies it.
    #[track_caller]
    pub fn supply_byte(&mut self, page: u64, byte: u8, access: u64) {
        self.p.w.kernel.user_write(self.p.server, PLACE, &[byte; 16]).expect("mapped");
        self.p.w.ok(self.p.s, Call::MemoryWrite, &[self.source, page * PAGE, PLACE, 16]);
        assert_eq!(self.supply(page, page, access), 1);
    }

    /// Makes a call as often as the kernel has it made again.
    pub fn insist(&mut self, thread: Id<Thread>, call: Call, args: &[u64]) -> Outcome {
        loop {
            let outcome = self.p.w.call(thread, call, args);
            if self.p.w.kernel.threads[thread].registers.rax.get() != call as u64 {
                return outcome;
            }
        }
    }

    pub fn space(&self) -> Id<Space> {
        self.p.w.kernel.processes[self.p.client].space.get().expect("it runs")
    }

    pub fn byte(&self, page: u64) -> u8 {
        let mut byte = [0];
        self.p.w.kernel.user_read(self.p.client, AT + page * PAGE + 8, &mut byte).expect("it is there");
        byte[0]
    }

    #[track_caller]
    pub fn take(&mut self, page: u64, pages: u64, what: u64) -> (u64, u64) {
        let [done, bits, ..] = self.p.w.ok(self.p.s, Call::PagerTake, &[self.object, page, pages, what]);
        (done, bits)
    }

    pub fn resident(&mut self) -> u64 {
        self.p.w.ok(self.p.s, Call::MemoryInfo, &[self.object])[1]
    }

    pub fn end(mut self) {
        self.p.w.end();
    }
}

#[test]
fn a_fault_becomes_a_message_told_once_and_the_page_supplied_lets_the_thread_go_on() {
    let mut s = Scene::new(0);
    let c = s.p.c;
    assert!(!s.touch(c, 3, false));
    assert_eq!(s.p.state(c), ThreadState::Paging);
    assert_eq!(s.told(), (3, false));
    s.supply_byte(3, 42, READ);
    assert_eq!(s.p.state(c), ThreadState::Ready);
    assert!(s.touch(c, 3, false), "it is there");
    assert_eq!((s.byte(3), s.resident()), (42, 1));
    // The frame moved: the source has it no more.
    let source = s.source;
    let left = s.p.w.ok(s.p.s, Call::MemoryInfo, &[source])[1];
    assert_eq!(left, 0);
    s.p.server_waits();
    s.end();
}

#[test]
fn a_receiver_that_waits_is_told_of_a_fault_at_once() {
    let mut s = Scene::new(0);
    s.p.server_waits();
    let (c, server) = (s.p.c, s.p.s);
    assert!(!s.touch(c, 0, true));
    assert!(matches!(s.p.w.outcome(server), Outcome::Done(_)));
    assert_eq!(s.p.w.words(server)[..3], [KEY, 0, 1]);
    s.end();
}

#[test]
fn reading_and_writing_are_told_apart_and_a_page_that_was_made_clean_is_asked_for_again() {
    let mut s = Scene::new(0);
    let c = s.p.c;
    s.supply_byte(1, 5, READ);
    assert!(s.touch(c, 1, false));
    assert_eq!(s.take(1, 1, 0), (1, 0), "nobody wrote it");
    assert!(!s.touch(c, 1, true), "a store to a clean page waits");
    assert_eq!(s.told(), (1, true));
    assert_eq!(s.supply(1, 0, READ), 1);
    assert_eq!(s.p.state(c), ThreadState::Paging, "readable is not enough");
    assert_eq!(s.supply(1, 0, WRITE), 1);
    assert!(s.touch(c, 1, true));
    assert_eq!(s.take(1, 1, 0), (1, 1), "it was dirty");
    assert_eq!(s.take(1, 1, 0), (1, 0), "and is clean");
    assert!(s.touch(c, 1, false));
    assert!(!s.touch(c, 1, true), "so that the next store is asked for");
    s.end();
}

#[test]
fn where_the_pager_grants_stores_they_are_only_noted() {
    let mut s = Scene::new(GRANTS);
    let c = s.p.c;
    s.supply_byte(1, 5, READ);
    assert!(s.touch(c, 1, false));
    assert_eq!(s.take(1, 1, 0), (1, 0));
    assert!(s.touch(c, 1, true));
    assert_eq!(s.take(1, 1, 0), (1, 1));
    s.end();
}

#[test]
fn clean_pages_can_be_taken_back_and_dirty_ones_can_not() {
    let mut s = Scene::new(0);
    let c = s.p.c;
    s.supply_byte(0, 1, READ);
    s.supply_byte(1, 2, WRITE);
    s.supply_byte(2, 3, READ);
    assert!(s.touch(c, 0, false) && s.touch(c, 1, true) && s.touch(c, 2, false));
    assert_eq!(s.take(0, 4, 1), (4, 0b10));
    assert_eq!(s.resident(), 1);
    assert!(!s.touch(c, 0, false));
    assert_eq!(s.told(), (0, false));
    s.end();
}

#[test]
fn a_page_that_fails_is_a_fault_of_those_who_wait_and_an_error_of_their_calls() {
    let mut s = Scene::new(0);
    let c = s.p.c;
    let (other, thread, _) = s.p.another_client(8, 10);
    s.map(other);
    let quota = s.p.w.quota_handle(other);
    let memory = s.p.w.ok(thread, Call::MemoryCreate, &[quota, 1, 0])[0];
    s.p.w.waits(thread, Call::MemoryWrite, &[memory, 0, AT + PAGE, 16]);
    assert!(!s.touch(c, 1, false));
    assert_eq!(s.told(), (1, false));
    let object = s.object;
    s.p.w.ok(s.p.s, Call::PagerFail, &[object, 0, 1, u64::from(Error::Io.number())]);
    assert_eq!(s.p.state(c), ThreadState::Paging, "another page");
    s.p.w.ok(s.p.s, Call::PagerFail, &[object, 0, PAGES, u64::from(Error::Io.number())]);
    assert_eq!(s.p.w.outcome(thread), Outcome::Failed(Error::BadAddress));
    let client = s.p.client;
    assert!(
        !s.p.w.kernel.processes.is_used(client) || s.p.w.kernel.processes[client].state.get() == ProcessState::Faulted
    );
    s.end();
}

#[test]
fn a_call_that_meets_an_absent_page_waits_and_is_made_again() {
    let mut s = Scene::new(0);
    let c = s.p.c;
    let quota = s.p.w.quota_handle(s.p.client);
    let memory = s.p.w.ok(c, Call::MemoryCreate, &[quota, 1, 0])[0];
    s.p.w.waits(c, Call::MemoryWrite, &[memory, 0, AT + 2 * PAGE, 16]);
    assert_eq!(s.told(), (2, false));
    s.supply_byte(2, 9, READ);
    assert!(matches!(s.p.w.again(c), Outcome::Done([16, ..])));
    s.p.w.ok(c, Call::MemoryRead, &[memory, 0, PLACE, 1]);
    let mut byte = [0];
    s.p.w.kernel.user_read(s.p.client, PLACE, &mut byte).expect("mapped");
    assert_eq!(byte, [9]);
    // What was done before the absent page is told, and the rest waits for the next call.
    let two = s.p.w.ok(c, Call::MemoryCreate, &[quota, 2, 0])[0];
    assert_eq!(s.p.w.ok(c, Call::MemoryWrite, &[two, 0, AT + 2 * PAGE, 2 * PAGE])[0], PAGE);
    s.end();
}

#[test]
fn a_holder_that_reads_the_object_itself_is_told_of_absent_pages_and_does_not_wait() {
    let mut s = Scene::new(0);
    let (object, server) = (s.object, s.p.s);
    assert_eq!(s.p.w.err(server, Call::MemoryRead, &[object, 0, PLACE, 16]), Error::LeaseFault);
    s.supply_byte(0, 7, READ);
    s.p.w.ok(server, Call::MemoryRead, &[object, 0, PLACE, 16]);
    assert_eq!(s.p.w.err(server, Call::MemoryWrite, &[object, 0, PLACE, 16]), Error::LeaseFault);
    s.p.server_waits();
    s.end();
}

#[test]
fn one_of_those_who_wait_for_a_page_asks_and_when_it_ends_another_does() {
    let mut s = Scene::new(0);
    let c = s.p.c;
    let (other, thread, _) = s.p.another_client(8, 10);
    s.map(other);
    assert!(!s.touch(c, 1, false) && !s.touch(thread, 1, false));
    assert_eq!(s.told(), (1, false));
    let client = s.p.client;
    s.p.w.kill(client);
    assert_eq!(s.told(), (1, false), "the other asks");
    s.supply_byte(1, 3, READ);
    assert_eq!(s.p.state(thread), ThreadState::Ready);
    s.end();
}

#[test]
fn a_pager_that_was_restarted_is_told_of_all_requests_again() {
    let mut s = Scene::new(0);
    let c = s.p.c;
    let endpoint = s.p.endpoint;
    assert!(!s.touch(c, 1, false));
    assert_eq!(s.told(), (1, false));
    let next = s.p.w.process();
    let thread = s.p.w.thread(next, 10);
    let quota = s.p.w.quota_handle(next);
    let reply = s.p.w.ok(thread, Call::ReplyCreate, &[quota])[0];
    let given = s.p.w.give(s.p.server, endpoint, next);
    let object = s.p.w.give(s.p.server, s.object, next);
    let server = s.p.server;
    s.p.w.kill(server);
    assert_eq!(s.told_by(thread, given, reply), (1, false));
    let source = s.p.w.ok(thread, Call::MemoryCreate, &[quota, 1, 0])[0];
    s.p.w.ok(thread, Call::PagerSupply, &[object, 1, 1, source, 0, READ]);
    assert_eq!(s.p.state(c), ThreadState::Ready);
    assert!(s.touch(c, 1, false));
    s.end();
}

#[test]
fn when_the_endpoint_ends_those_who_wait_fault_and_what_is_there_stays() {
    let mut s = Scene::new(0);
    let (other, thread, _) = s.p.another_client(8, 10);
    let given = s.map(other);
    s.supply_byte(0, 6, READ);
    let c = s.p.c;
    assert!(!s.touch(c, 1, false));
    let (server, keeper, client) = (s.p.server, s.p.keeper, s.p.client);
    s.p.w.kill(server);
    s.p.w.kill(keeper);
    let gone = !s.p.w.kernel.processes.is_used(client);
    assert!(gone || s.p.w.kernel.processes[client].state.get() == ProcessState::Faulted);
    assert!(s.touch(thread, 0, false), "a page that is there");
    assert_eq!(s.p.w.err(thread, Call::MemoryRead, &[given, PAGE, PLACE, 1]), Error::BadAddress);
    s.end();
}

#[test]
fn a_lease_of_an_absent_page_is_a_lease_fault_for_the_server() {
    let mut s = Scene::new(0);
    let (c, server) = (s.p.c, s.p.s);
    s.p.w.lend(c, 0, AT, PAGE, LeaseAccess::READ, 0);
    s.p.w.waits(c, Call::Call, &[s.p.session, 0, Extras::new(0, 1, false).0]);
    let (endpoint, reply) = (s.p.endpoint, s.p.reply);
    s.p.w.ok(server, Call::Recv, &[endpoint, 0, 0, reply]);
    assert_eq!(s.p.w.err(server, Call::LeaseRead, &[reply, 0, 0, PLACE, 16]), Error::LeaseFault);
    s.supply_byte(0, 8, READ);
    assert_eq!(s.p.w.ok(server, Call::LeaseRead, &[reply, 0, 0, PLACE, 16])[0], 16);
    s.end();
}

#[test]
fn who_waits_for_a_page_can_be_suspended_and_killed_and_its_wait_not_cancelled() {
    let mut s = Scene::new(0);
    let c = s.p.c;
    let keeper = s.p.keeper;
    let all = abi::Rights::all();
    let handle = s.p.w.kernel.cap_insert(keeper, abi::Kind::Thread, c.raw(), all, None).expect("room").word();
    let k = s.p.k;
    assert!(!s.touch(c, 1, false));
    assert_eq!(s.p.w.err(k, Call::ThreadCancel, &[handle]), Error::WrongState);
    s.p.w.ok(k, Call::ThreadSuspend, &[handle]);
    s.supply_byte(1, 3, READ);
    assert_eq!(s.p.state(c), ThreadState::Suspended);
    s.p.w.ok(k, Call::ThreadResume, &[handle]);
    assert!(s.touch(c, 1, false));
    assert!(!s.touch(c, 2, true));
    s.end();
}

#[test]
fn a_page_that_fails_is_told_to_who_handles_the_threads_faults() {
    let mut s = Scene::new(0);
    let (c, client, object) = (s.p.c, s.p.client, s.object);
    let flags = abi::thread::UPCALL_FAULTS;
    s.p.w.ok(c, Call::UpcallHandler, &[MEMORY + 0x123, MEMORY + 16 * PAGE, 2 * PAGE, flags]);
    assert!(!s.touch(c, 1, true));
    s.p.w.ok(s.p.s, Call::PagerFail, &[object, 1, 1, u64::from(Error::Io.number())]);
    assert_eq!(s.p.state(c), ThreadState::Ready, "it runs its own handler");
    assert_eq!(s.p.w.kernel.threads[c].registers.rip.get(), MEMORY + 0x123);
    let (keeper, k) = (s.p.keeper, s.p.k);
    let session = s.p.w.ok(k, Call::SessionCreate, &[s.p.k_endpoint, 50, 0])[0];
    let all = abi::Rights::all();
    let thread = s.p.w.kernel.cap_insert(keeper, abi::Kind::Thread, c.raw(), all, None).expect("room").word();
    s.p.w.ok(k, Call::ThreadFaultHandler, &[thread, session]);
    assert!(!s.touch(c, 2, true));
    s.p.w.ok(s.p.s, Call::PagerFail, &[object, 2, 1, u64::from(Error::Io.number())]);
    assert_eq!(s.p.state(c), ThreadState::Sending, "its handler is told");
    assert_eq!(s.p.w.kernel.processes[client].state.get(), ProcessState::Running);
    s.end();
}

#[test]
fn what_makes_no_sense_is_refused_and_changes_nothing() {
    let mut s = Scene::new(0);
    let (t, object, source, quota) = (s.p.s, s.object, s.source, s.p.quota);
    let endpoint = s.p.endpoint;
    let io = u64::from(Error::Io.number());
    let w = &mut s.p.w;
    let refusals: &[(Call, [u64; 6], Error)] = &[
        (Call::PagerCreate, [endpoint, 999, 1, 1, 0, 0], Error::BadHandle),
        (Call::PagerCreate, [endpoint, endpoint, 1, 1, 0, 0], Error::WrongKind),
        (Call::PagerCreate, [endpoint, quota, 1, 0, 0, 0], Error::BadArgument),
        (Call::PagerCreate, [endpoint, quota, 1, 1, 2, 0], Error::BadArgument),
        (Call::PagerSupply, [object, 0, 1, 999, 0, READ], Error::BadHandle),
        (Call::PagerSupply, [object, 0, 1, quota, 0, READ], Error::WrongKind),
        (Call::PagerSupply, [source, 0, 1, source, 0, READ], Error::NoRight),
        (Call::PagerSupply, [object, 0, 1, source, 0, 2], Error::BadArgument),
        (Call::PagerSupply, [object, PAGES, 1, source, 0, READ], Error::BadArgument),
        (Call::PagerSupply, [object, 0, 1, source, 64, READ], Error::BadArgument),
        (Call::PagerSupply, [object, 0, 1, object, 1, READ], Error::BadArgument),
        (Call::PagerFail, [object, 0, 0, io, 0, 0], Error::BadArgument),
        (Call::PagerFail, [object, 0, 1, 0xffff, 0, 0], Error::BadArgument),
        (Call::PagerTake, [object, 0, 1, 2, 0, 0], Error::BadArgument),
        (Call::PagerTake, [object, u64::MAX, 2, 0, 0, 0], Error::BadArgument),
        (Call::PressureWatch, [quota, 999, 1, 1, 0, 0], Error::BadHandle),
        (Call::PressureWatch, [quota, object, 1, 1, 0, 0], Error::WrongKind),
    ];
    let before = w.ok(t, Call::QuotaInfo, &[quota]);
    for (call, args, error) in refusals {
        assert_eq!(w.err(t, *call, args), *error, "{call:?} {args:?}");
    }
    assert_eq!(w.ok(t, Call::QuotaInfo, &[quota]), before);
    // A capability to ordinary memory never has MANAGE; one made with it is refused for what it names.
    let managed = s.p.w.object(s.p.server, source) as Id<kernel_core::object::Memory>;
    let all = abi::Rights::all();
    let handle = s.p.w.kernel.cap_insert(s.p.server, abi::Kind::Memory, managed.raw(), all, None).expect("room").word();
    s.p.w.kernel.retain(managed);
    s.p.w.kernel.release(managed);
    for (call, args) in [
        (Call::PagerSupply, [handle, 0, 1, source, 0, READ]),
        (Call::PagerFail, [handle, 0, 1, io, 0, 0]),
        (Call::PagerTake, [handle, 0, 1, 0, 0, 0]),
    ] {
        assert_eq!(s.p.w.err(t, call, &args), Error::NotSupported);
    }
    s.end();
}
