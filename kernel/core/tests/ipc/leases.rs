//! The rules of leases that need more than one call: chains of passing on,
//! narrowing, what withdraws what.

use crate::kit::{extras, failed, Pair};
use abi::call::Call;
use abi::message::{buffer, Extras, LeaseAccess};
use abi::{Error, Kind, Rights};
use kernel_core::id::Id;
use kernel_core::object::{Process, Thread, ThreadState};
use kernel_core::world::{Outcome, World, LENT};

/// A server that was called by the one before it: client, file system, partition, …, driver.
struct Link {
    process: Id<Process>,
    thread: Id<Thread>,
    endpoint: u64,
    reply: u64,
    /// Its session to the next.
    next: u64,
}

/// The links; the first is the client (its endpoint and reply are not used).
struct Chain {
    w: World,
    keeper: Id<Process>,
    k: Id<Thread>,
    links: Vec<Link>,
}

const BOTH: LeaseAccess = LeaseAccess::READ.union(LeaseAccess::WRITE);

impl Chain {
    fn new(length: usize) -> Chain {
        let mut w = World::on(kernel_core::test_machine::TestMachine::kernel(8192));
        let keeper = w.process();
        let k = w.thread(keeper, 10);
        let k_quota = w.quota_handle(keeper);
        let mut links: Vec<Link> = vec![];
        for _ in 0..length {
            let process = w.process();
            let thread = w.thread(process, 10);
            let made = w.ok(k, Call::EndpointCreate, &[k_quota])[0];
            let endpoint = w.give(keeper, made, process);
            let session = w.ok(k, Call::SessionCreate, &[made, 1, 0])[0];
            if let Some(last) = links.last_mut() {
                last.next = w.give(keeper, session, last.process);
            }
            let quota = w.quota_handle(process);
            let reply = w.ok(thread, Call::ReplyCreate, &[quota])[0];
            links.push(Link { process, thread, endpoint, reply, next: 0 });
        }
        Chain { w, keeper, k, links }
    }

    /// Three links, the first of which has lent the second a hundred bytes to read.
    fn lent_for_reading() -> Chain {
        let mut chain = Chain::new(3);
        chain.receive(1);
        let client = chain.thread(0);
        chain.w.lend(client, 0, LENT, 100, LeaseAccess::READ, 0);
        chain.call(0, false);
        chain
    }

    fn thread(&self, n: usize) -> Id<Thread> {
        self.links[n].thread
    }
    fn reply(&self, n: usize) -> u64 {
        self.links[n].reply
    }

    /// Link `n` waits for a call.
    fn receive(&mut self, n: usize) {
        let Link { thread, endpoint, reply, .. } = self.links[n];
        self.w.waits(thread, Call::Recv, &[endpoint, 0, 0, reply]);
    }

    /// Link `n` calls the next with the lease that its buffer tells of.
    fn call(&mut self, n: usize, deadline: bool) -> Outcome {
        let Link { thread, next, .. } = self.links[n];
        self.w.call(thread, Call::Call, &[next, 0, extras(0, 1, deadline)])
    }

    /// The client lends a range to link 1, and each passes on the part told to the next, as far as link `to`.
    fn pass_on(&mut self, to: usize, address: u64, length: u64, offset: u64) {
        for n in 1..=to {
            self.receive(n);
        }
        let client = self.thread(0);
        self.w.lend(client, 0, address, length, BOTH, 0);
        assert_eq!(self.call(0, false), Outcome::Waits);
        let mut left = length;
        for n in 1..to {
            left -= offset;
            let (thread, reply) = (self.thread(n), self.reply(n));
            self.w.lend(thread, 0, offset, left, BOTH | LeaseAccess::PASS_ON, reply);
            assert_eq!(self.call(n, false), Outcome::Waits);
        }
    }

    /// Link `n` opens a name that is bound to its session to the next, with the lease that its buffer tells of.
    fn open(&mut self, n: usize) -> Outcome {
        let Link { process, thread, next, .. } = self.links[n];
        let name = LENT + 8 * 4096;
        let own = self.w.kernel.cap_insert(self.keeper, Kind::Process, process.raw(), Rights::all(), None);
        let namespace = self.w.ok(self.k, Call::ProcessNamespace, &[own.expect("there is room").word()])[0];
        let namespace = self.w.give(self.keeper, namespace, process);
        self.w.kernel.user_write(process, name, b"next").expect("mapped");
        let _ = self.w.call(thread, Call::NamespaceBind, &[namespace, name, 4, next]);
        self.w.call(thread, Call::Open, &[name, 0, extras(0, 1, false), 4])
    }

    fn state(&self, n: usize) -> ThreadState {
        self.w.kernel.threads[self.thread(n)].state.get()
    }
}

#[test]
fn a_lease_passed_on_names_the_same_bytes_narrowed_at_each_step() {
    let mut chain = Chain::new(4);
    let client = chain.links[0].process;
    let text: Vec<u8> = (0..100).collect();
    chain.w.kernel.user_write(client, LENT, &text).expect("mapped");
    chain.pass_on(3, LENT, 100, 10);
    let (driver, thread, reply) = (chain.links[3].process, chain.thread(3), chain.reply(3));
    assert_eq!(chain.w.buffer(thread, buffer::RECEIVED_LEASES), 80);
    assert_eq!(chain.w.ok(thread, Call::LeaseRead, &[reply, 0, 0, LENT, 80])[0], 80);
    let mut bytes = [0; 80];
    chain.w.kernel.user_read(driver, LENT, &mut bytes).expect("mapped");
    assert_eq!(bytes[..], text[20..]);
    assert_eq!(chain.w.err(thread, Call::LeaseRead, &[reply, 0, 0, LENT, 81]), Error::LeaseRange);
    assert_eq!(chain.w.err(thread, Call::LeaseRead, &[reply, 0, 80, LENT, 1]), Error::LeaseRange);
    assert_eq!(chain.w.err(thread, Call::LeaseRead, &[reply, 0, u64::MAX, LENT, 2]), Error::LeaseRange);
    assert_eq!(chain.w.err(thread, Call::LeaseRead, &[reply, 1, 0, LENT, 1]), Error::BadArgument);
    chain.w.ok(thread, Call::LeaseWrite, &[reply, 0, 79, LENT, 1]);
    let mut last = [0];
    chain.w.kernel.user_read(client, LENT + 99, &mut last).expect("mapped");
    assert_eq!(last, [20]);
    chain.w.end();
}

#[test]
fn passing_on_gives_no_more_than_was_lent() {
    let mut chain = Chain::lent_for_reading();
    let (server, reply) = (chain.thread(1), chain.reply(1));
    let pass = LeaseAccess::READ | LeaseAccess::PASS_ON;
    let cases = [
        (0, 101, pass, reply, Error::LeaseRange),
        (100, 1, pass, reply, Error::LeaseRange),
        (u64::MAX, 2, pass, reply, Error::LeaseRange),
        (0, 1, pass | LeaseAccess::WRITE, reply, Error::LeaseAccess),
        (0, 1, pass, reply | 1 << 32, Error::BadArgument),
        (0, 1, pass, reply + (1 << 16), Error::BadHandle),
        (0, 1, LeaseAccess::PASS_ON, reply, Error::BadArgument),
    ];
    for (address, length, access, from, error) in cases {
        chain.w.lend(server, 0, address, length, access, from);
        assert_eq!(chain.call(1, false), Outcome::Failed(error), "{address} {length} {access:?}");
    }
    // The reply object of a call that is over has nothing to pass on.
    chain.w.ok(server, Call::Reply, &[reply, 0, 0]);
    chain.w.lend(server, 0, 0, 1, pass, reply);
    assert_eq!(chain.call(1, false), Outcome::Failed(Error::WrongState));
    chain.w.end();
}

#[test]
fn what_is_held_far_below_keeps_every_call_above_from_ending() {
    let mut chain = Chain::new(6);
    chain.pass_on(5, LENT, 5 * 4096, 4096);
    let (thread, reply) = (chain.thread(5), chain.reply(5));
    let at = chain.w.ok(thread, Call::LeaseMap, &[reply, 0, 0, 4096, 0, 1])[0];
    // None above can answer; each is told why.
    for n in 1..5 {
        let second = chain.w.thread(chain.links[n].process, 10);
        let reply = chain.reply(n);
        assert_eq!(chain.w.err(second, Call::Reply, &[reply, 0, 0]), Error::Busy, "link {n}");
        let endpoint = chain.links[n].endpoint;
        assert_eq!(chain.w.err(second, Call::ReplyRecv, &[endpoint, 0, 0, reply]), Error::Busy, "link {n}");
    }
    // The servers in between die: the client still waits, for its page is mapped.
    for n in [2, 1, 4, 3] {
        let process = chain.links[n].process;
        chain.w.kill(process);
        assert_eq!(chain.state(0), ThreadState::AwaitingReply, "after {n}");
    }
    let mut byte = [0];
    chain.w.kernel.user_read(chain.links[5].process, at, &mut byte).expect("still mapped");
    assert_eq!(chain.w.err(thread, Call::LeaseRead, &[reply, 0, 0, LENT, 1]), Error::Cancelled);
    chain.w.ok(thread, Call::Reply, &[reply, 0, 0]);
    assert_eq!(chain.w.outcome(chain.thread(0)), Outcome::Failed(Error::Restarted));
    assert!(chain.w.kernel.user_read(chain.links[5].process, at, &mut byte).is_err());
    chain.w.end();
}

#[test]
fn what_is_withdrawn_at_the_top_is_withdrawn_all_the_way_down() {
    let mut chain = Chain::new(5);
    let client = chain.thread(0);
    chain.pass_on(4, LENT, 100, 1);
    let cap = chain.w.kernel.cap_insert(chain.keeper, Kind::Thread, client.raw(), Rights::all(), None).expect("room");
    let (thread, reply, k) = (chain.thread(4), chain.reply(4), chain.k);
    chain.w.ok(thread, Call::LeaseWrite, &[reply, 0, 0, LENT, 10]);
    chain.w.ok(k, Call::ThreadCancel, &[cap.word()]);
    for call in [Call::LeaseRead, Call::LeaseWrite] {
        assert_eq!(chain.w.err(thread, call, &[reply, 0, 0, LENT, 10]), Error::Cancelled);
    }
    assert_eq!(chain.w.err(thread, Call::LeaseMap, &[reply, 0, 0, 4096, 0, 1]), Error::Cancelled);
    assert_eq!(chain.state(0), ThreadState::AwaitingReply, "it was received: the answer ends it");
    for n in (1..5).rev() {
        let (thread, reply) = (chain.thread(n), chain.reply(n));
        chain.w.ok(thread, Call::Reply, &[reply, n as u64, 0]);
    }
    assert!(matches!(chain.w.outcome(client), Outcome::Done([0, 1, ..])));
    chain.w.end();
}

#[test]
fn open_passes_on_no_more_than_a_call_does() {
    let mut chain = Chain::lent_for_reading();
    let (server, reply) = (chain.thread(1), chain.reply(1));
    let pass = LeaseAccess::READ | LeaseAccess::PASS_ON;
    chain.w.lend(server, 0, 0, 101, pass, reply);
    assert_eq!(chain.open(1), Outcome::Failed(Error::LeaseRange));
    chain.w.lend(server, 0, 0, 1, pass | LeaseAccess::WRITE, reply);
    assert_eq!(chain.open(1), Outcome::Failed(Error::LeaseAccess));
    chain.w.lend(server, 0, 0, 1, pass, reply);
    assert_eq!(chain.open(1), Outcome::Waits, "what was lent can be passed on");
    chain.w.end();
}

#[test]
fn a_server_that_answers_withdraws_what_it_passed_on_for_copying() {
    let mut chain = Chain::new(3);
    chain.pass_on(2, LENT, 100, 1);
    let second = chain.w.thread(chain.links[1].process, 10);
    let (r1, driver, r2) = (chain.reply(1), chain.thread(2), chain.reply(2));
    chain.w.ok(second, Call::Reply, &[r1, 0, 0]);
    assert!(matches!(chain.w.outcome(chain.thread(0)), Outcome::Done(_)));
    assert_eq!(chain.w.err(driver, Call::LeaseRead, &[r2, 0, 0, LENT, 1]), Error::Cancelled);
    chain.w.ok(driver, Call::Reply, &[r2, 0, 0]);
    assert!(matches!(chain.w.outcome(chain.thread(1)), Outcome::Done(_)));
    chain.w.end();
}

#[test]
fn a_lease_can_be_passed_on_sixteen_times_and_no_more() {
    let mut chain = Chain::new(19);
    chain.pass_on(17, LENT, 100, 1);
    let (thread, reply) = (chain.thread(17), chain.reply(17));
    chain.w.ok(thread, Call::LeaseRead, &[reply, 0, 0, LENT, 1]);
    chain.receive(18);
    chain.w.lend(thread, 0, 0, 1, BOTH | LeaseAccess::PASS_ON, reply);
    assert_eq!(chain.call(17, false), Outcome::Failed(Error::NotSupported));
    assert_eq!(chain.open(17), Outcome::Failed(Error::NotSupported));
    chain.w.end();
}

#[test]
fn four_leases_travel_with_a_call_and_end_one_by_one() {
    let mut chain = Chain::new(2);
    chain.receive(1);
    let (client, server, reply) = (chain.thread(0), chain.thread(1), chain.reply(1));
    for i in 0..4 {
        chain.w.lend(client, i, LENT + 4096 * i as u64, 4096, BOTH, 0);
    }
    let session = chain.links[0].next;
    chain.w.waits(client, Call::Call, &[session, 0, extras(0, 4, false)]);
    let Outcome::Done([_, _, what, _]) = chain.w.outcome(server) else { panic!("received") };
    assert_eq!(Extras(what).leases(), 4);
    let held: Vec<_> = (1..3).map(|i| chain.w.ok(server, Call::LeaseMap, &[reply, i, 0, 4096, 0, 3])[0]).collect();
    assert_ne!(held[0], held[1]);
    // The client dies: what is mapped stays, what is not is gone.
    let process = chain.links[0].process;
    chain.w.kill(process);
    let own = chain.links[1].process;
    for address in &held {
        chain.w.kernel.user_write(own, *address, b"x").expect("its frames stay until the answer");
    }
    for i in 0..4 {
        assert_eq!(chain.w.err(server, Call::LeaseRead, &[reply, i, 0, LENT, 1]), Error::Cancelled);
    }
    chain.w.ok(server, Call::Reply, &[reply, 0, 0]);
    for address in &held {
        assert!(chain.w.kernel.user_write(own, *address, b"x").is_err());
    }
    chain.w.end();
}

#[test]
fn a_mapping_the_server_takes_out_itself_no_longer_holds() {
    let mut chain = Chain::new(2);
    chain.receive(1);
    let (client, server, reply) = (chain.thread(0), chain.thread(1), chain.reply(1));
    let at = chain.w.now() + 1_000;
    chain.w.buffer_set(client, buffer::DEADLINE, at);
    chain.w.lend(client, 0, LENT, 2 * 4096, BOTH, 0);
    assert_eq!(chain.call(0, true), Outcome::Waits);
    let mapped = chain.w.ok(server, Call::LeaseMap, &[reply, 0, 0, 2 * 4096, 0, 1])[0];
    let space = abi::Handle::SELF_SPACE.word();
    // The middle of a hold: half of it is taken out, half stays.
    chain.w.ok(server, Call::SpaceUnmap, &[space, mapped, 4096]);
    assert!(chain.w.kernel.leases.iter_used().all(|l| chain.w.kernel.leases[l].is_holding()));
    chain.w.ok(server, Call::SpaceUnmap, &[space, mapped, 2 * 4096]);
    assert!(!chain.w.kernel.leases.iter_used().any(|l| chain.w.kernel.leases[l].is_holding()));
    chain.w.time(at);
    assert_eq!(chain.w.outcome(client), Outcome::Failed(Error::TimedOut));
    chain.w.end();
}

#[test]
fn a_lease_lent_with_a_deadline_is_withdrawn_when_it_passes() {
    let mut p = Pair::new();
    let at = p.w.now() + 1_000;
    p.w.buffer_set(p.c, buffer::DEADLINE, at);
    p.w.lend(p.c, 0, LENT, 100, LeaseAccess::READ, 0);
    p.w.waits(p.c, Call::Call, &[p.session, 0, extras(0, 1, true)]);
    p.server_receives();
    assert_eq!(p.w.ok(p.s, Call::LeaseRead, &[p.reply, 0, 0, LENT, 10])[0], 10);
    p.w.time(at);
    assert_eq!(failed(p.w.outcome(p.c)), Some(Error::TimedOut));
    assert_eq!(p.w.err(p.s, Call::LeaseRead, &[p.reply, 0, 0, LENT, 10]), Error::Cancelled);
    assert_eq!(p.w.err(p.s, Call::Recv, &[p.endpoint, 0, 0, p.reply]), Error::WrongState, "taken until answered");
    p.server_replies(0);
    assert!(failed(p.w.outcome(p.c)).is_some(), "a late answer reaches nobody");
    p.client_calls(3);
    p.server_receives();
    p.w.end();
}
