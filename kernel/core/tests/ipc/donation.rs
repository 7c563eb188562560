//! Urgency lent along calls: by callers, by queues, along chains, and given
//! back.

use crate::kit::{failed, Pair};
use abi::call::Call;
use abi::{Error, Kind, Rights};
use kernel_core::id::Id;
use kernel_core::object::{Process, Thread};
use kernel_core::world::World;

#[test]
fn a_thread_created_or_woken_with_more_urgency_runs_at_once() {
    let mut p = Pair::with(World::new(), [10, 30, 10]);
    let bell = p.w.ok(p.s, Call::NotificationCreate, &[p.quota])[0];
    let given = p.w.give(p.server, bell, p.client);
    p.w.waits(p.s, Call::Wait, &[bell, 0]);
    p.w.ok(p.c, Call::Notify, &[given, 1]);
    assert_eq!(p.running(), Some(p.s));
    p.w.waits(p.s, Call::Wait, &[bell, 0]);
    let low = p.w.thread(p.client, 9);
    p.w.ok(low, Call::Clock, &[]);
    assert_ne!(p.running(), Some(low), "it was put there against the order");
}

#[test]
fn a_server_runs_at_the_urgency_of_its_caller_and_of_all_who_wait_for_it() {
    let mut p = Pair::with(World::new(), [1, 10, 20]);
    p.server_waits();
    p.client_calls(0);
    assert_eq!(p.priority(p.s), 20);
    let (_, more, more_session) = p.another_client(100, 40);
    p.w.waits(more, Call::Call, &[more_session, 0, 0]);
    assert_eq!(p.priority(p.s), 40);
    let (_, less, less_session) = p.another_client(101, 5);
    p.w.waits(less, Call::Call, &[less_session, 0, 0]);
    assert_eq!(p.priority(p.s), 40);
    // The answer brings the next call, which is the most urgent.
    p.w.ok(p.s, Call::ReplyRecv, &[p.endpoint, 0, 0, p.reply]);
    assert_eq!(p.priority(p.s), 40);
    p.w.ok(p.s, Call::ReplyRecv, &[p.endpoint, 0, 0, p.reply]);
    assert_eq!(p.priority(p.s), 10, "its own, above its caller's");
    p.w.waits(p.s, Call::ReplyRecv, &[p.endpoint, 0, 0, p.reply]);
    assert_eq!(p.priority(p.s), 10);
}

/// Found by fuzzing.
#[test]
fn who_leaves_a_queue_to_wait_elsewhere_leaves_its_urgency_there() {
    let mut p = Pair::with(World::new(), [1, 10, 20]);
    p.server_waits();
    p.client_calls(0);
    p.w.ok(p.s, Call::Reply, &[p.reply, 0, 0]);
    let (_, more, session) = p.another_client(100, 40);
    p.w.waits(more, Call::Call, &[session, 0, 0]);
    assert_eq!(p.priority(p.s), 40, "it received there last");
    let quota = p.w.quota_handle(p.server);
    let elsewhere = p.w.ok(p.s, Call::EndpointCreate, &[quota])[0];
    p.w.waits(p.s, Call::Recv, &[elsewhere, 0, 0, p.reply]);
    assert_eq!(p.priority(p.s), 10);
}

#[test]
fn urgency_is_given_back_when_a_caller_gives_up_or_dies() {
    let mut p = Pair::with(World::new(), [1, 10, 20]);
    p.server_waits();
    p.client_calls(0);
    let (process, more, session) = p.another_client(100, 40);
    p.w.waits(more, Call::Call, &[session, 0, 0]);
    assert_eq!(p.priority(p.s), 40);
    p.w.kill(process);
    assert_eq!(p.priority(p.s), 20, "queued");
    p.w.kill(p.client);
    assert_eq!(p.priority(p.s), 10, "received");
}

/// Servers each of which calls the next: thread, its endpoint, a session to it in the keeper's table, its reply
/// object; and the session to the next.
struct Chain {
    w: World,
    keeper: Id<Process>,
    k: Id<Thread>,
    links: Vec<Link>,
}

struct Link {
    thread: Id<Thread>,
    endpoint: u64,
    session: u64,
    reply: u64,
    next: u64,
}

const CHAIN: usize = 64;

fn chain() -> Chain {
    let mut w = World::on(kernel_core::test_machine::TestMachine::kernel(8192));
    let keeper = w.process();
    let k = w.thread(keeper, 1);
    let k_quota = w.quota_handle(keeper);
    let mut links: Vec<Link> = vec![];
    let (mut process, mut before) = (keeper, keeper);
    for n in 0..CHAIN {
        if n % 8 == 0 {
            process = w.process();
        }
        let thread = w.thread(process, 10);
        let made = w.ok(k, Call::EndpointCreate, &[k_quota])[0];
        let endpoint = w.give(keeper, made, process);
        let session = w.ok(k, Call::SessionCreate, &[made, 1, 0])[0];
        let quota = w.quota_handle(process);
        let reply = w.ok(thread, Call::ReplyCreate, &[quota])[0];
        if let Some(last) = links.last_mut() {
            last.next = w.give(keeper, session, before);
        }
        before = process;
        links.push(Link { thread, endpoint, session, reply, next: 0 });
    }
    Chain { w, keeper, k, links }
}

impl Chain {
    /// Calls the first as an urgent client, checks that all are urgent, and that none is when the client is gone.
    fn check(mut self) {
        let client = self.w.process();
        let c = self.w.thread(client, 50);
        let session = self.w.give(self.keeper, self.links[0].session, client);
        let priorities = |w: &World, links: &[Link]| -> Vec<u8> {
            links.iter().map(|link| w.kernel.threads[link.thread].priority.get()).collect()
        };
        assert_eq!(priorities(&self.w, &self.links), [10; CHAIN]);
        self.w.waits(c, Call::Call, &[session, 0, 0]);
        assert_eq!(priorities(&self.w, &self.links), [50; CHAIN]);
        self.w.kill(client);
        assert_eq!(priorities(&self.w, &self.links), [10; CHAIN]);
        self.w.end();
    }
}

#[test]
fn urgency_goes_along_a_chain_of_64_calls_that_were_received() {
    let mut chain = chain();
    for n in 0..CHAIN {
        let (thread, endpoint, reply) = (chain.links[n].thread, chain.links[n].endpoint, chain.links[n].reply);
        chain.w.waits(thread, Call::Recv, &[endpoint, 0, 0, reply]);
    }
    let client = chain.w.process();
    let c = chain.w.thread(client, 10);
    let session = chain.w.give(chain.keeper, chain.links[0].session, client);
    chain.w.waits(c, Call::Call, &[session, 0, 0]);
    for n in 0..CHAIN - 1 {
        let (thread, next) = (chain.links[n].thread, chain.links[n].next);
        chain.w.waits(thread, Call::Call, &[next, 0, 0]);
    }
    chain.check();
}

#[test]
fn urgency_goes_along_a_chain_of_64_calls_that_are_queued() {
    let mut chain = chain();
    for n in 0..CHAIN {
        // Each has received something, and is busy when it is called.
        let (thread, endpoint, reply) = (chain.links[n].thread, chain.links[n].endpoint, chain.links[n].reply);
        chain.w.waits(thread, Call::Recv, &[endpoint, 0, 0, reply]);
        let session = chain.links[n].session;
        let k = chain.k;
        chain.w.ok(k, Call::Send, &[session, 0, 0]);
    }
    for n in (0..CHAIN - 1).rev() {
        let (thread, next) = (chain.links[n].thread, chain.links[n].next);
        chain.w.waits(thread, Call::Call, &[next, 0, 0]);
    }
    chain.check();
}

#[test]
fn a_ring_of_calls_ends_and_its_urgency_with_it() {
    let mut p = Pair::with(World::new(), [1, 10, 20]);
    // The client is a server too, and its server calls back.
    let c_quota = p.w.quota_handle(p.client);
    let endpoint = p.w.ok(p.c, Call::EndpointCreate, &[c_quota])[0];
    let made = p.w.ok(p.c, Call::SessionCreate, &[endpoint, 1, 0])[0];
    let back = p.w.give(p.client, made, p.server);
    let reply = p.w.ok(p.c, Call::ReplyCreate, &[c_quota])[0];
    p.w.ok(p.s, Call::Clock, &[]);
    p.w.waits(p.s, Call::Send, &[back, 0, 0]);
    p.w.ok(p.c, Call::Recv, &[endpoint, 0, 0, reply]);
    p.server_waits();
    p.client_calls(0);
    p.w.waits(p.s, Call::Call, &[back, 0, 0]);
    let (process, more, session) = p.another_client(100, 90);
    p.w.waits(more, Call::Call, &[session, 0, 0]);
    assert_eq!((p.priority(p.s), p.priority(p.c)), (90, 90));
    p.w.kill(process);
    p.w.kill(p.client);
    assert_eq!(failed(p.w.outcome(p.s)), Some(Error::Closed), "its endpoint is gone");
    assert_eq!(p.priority(p.s), 10);
    p.w.end();
}

#[test]
fn changing_a_priority_counts_at_once_wherever_the_thread_is() {
    let mut p = Pair::with(World::new(), [90, 10, 20]);
    let cap = p.w.kernel.cap_insert(p.keeper, Kind::Thread, p.c.raw(), Rights::all(), None).expect("room").word();
    p.server_waits();
    p.client_calls(0);
    for priority in [70, 15, 5] {
        p.w.ok(p.k, Call::ThreadPriority, &[cap, priority]);
        assert_eq!(u64::from(p.priority(p.s)), priority.max(10));
    }
    p.server_replies(0);
    p.w.ok(p.k, Call::ThreadPriority, &[cap, 200]);
    assert_eq!(p.running(), Some(p.c), "ready, and more urgent now");
    assert_eq!(p.w.err(p.k, Call::ThreadPriority, &[cap, 256]), Error::BadArgument);
}

#[test]
fn a_change_of_priority_keeps_the_place_among_equals() {
    let mut p = Pair::with(World::new(), [90, 10, 10]);
    let mut caps = vec![];
    for badge in [100, 101, 102] {
        let (_, thread, session) = p.another_client(badge, 20);
        p.w.waits(thread, Call::Call, &[session, 0, 0]);
        caps.push(
            p.w.kernel.cap_insert(p.keeper, Kind::Thread, thread.raw(), Rights::all(), None).expect("room").word(),
        );
    }
    for (who, priority) in [(1, 30), (0, 30), (2, 5), (2, 30), (1, 20), (1, 30)] {
        p.w.ok(p.k, Call::ThreadPriority, &[caps[who], priority]);
    }
    let order: Vec<_> = (0..3)
        .map(|_| {
            let badge = p.server_receives()[0];
            p.server_replies(0);
            badge
        })
        .collect();
    assert_eq!(order, [100, 101, 102]);
}
