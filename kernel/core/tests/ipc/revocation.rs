//! Revocation reaches what stems from a capability: mappings, names, messages
//! under way, waits, pins; closing hands it on.

use crate::kit::{extras, failed, Pair, BADGE};
use abi::call::Call;
use abi::message::{buffer, LeaseAccess};
use abi::{Error, Handle, Rights};
use kernel_core::id::Id;
use kernel_core::machine::Machine;
use kernel_core::object::{Process, ReplyState, Thread, ThreadState};
use kernel_core::world::{Outcome, World, LENT, MEMORY};

const ALL: u64 = Rights::all().bits() as u64;
const PAGE: u64 = 4096;
const RW: u64 = 3;
/// Where things are mapped.
const AT: u64 = 0x5000_0000;

/// Revokes as a user does: again and again until it is done, with an interrupt pending at every look.
fn revoke(w: &mut World, thread: Id<Thread>, handle: u64) {
    w.kernel.machine.interrupt_every(1);
    while w.call(thread, Call::Revoke, &[handle]) == Outcome::Failed(Error::Retry) {}
    w.kernel.machine.interrupt_every(0);
}

/// Closes likewise.
fn close(w: &mut World, thread: Id<Thread>, handle: u64) {
    w.kernel.machine.interrupt_every(1);
    loop {
        let outcome = w.call(thread, Call::Close, &[handle]);
        if w.kernel.threads[thread].registers.rax.get() != Call::Close as u64 {
            assert!(matches!(outcome, Outcome::Done(_)), "{outcome:?}");
            break;
        }
    }
    w.kernel.machine.interrupt_every(0);
}

fn derive(w: &mut World, thread: Id<Thread>, handle: u64) -> u64 {
    w.ok(thread, Call::Derive, &[handle, ALL, 0, 0])[0]
}

fn mapped(w: &World, process: Id<Process>, address: u64) -> bool {
    let space = w.kernel.processes[process].space.get().expect("it runs");
    w.kernel.mapping_at(space, address).is_some()
}

/// Two processes, each with a thread, and a memory object of 40 pages that the first gave to the second.
struct Lenders {
    w: World,
    a: Id<Process>,
    ta: Id<Thread>,
    b: Id<Process>,
    tb: Id<Thread>,
    /// The maker's capability, and the second process's.
    memory: u64,
    given: u64,
}

impl Lenders {
    fn new() -> Lenders {
        let mut w = World::new();
        let (a, b) = (w.process(), w.process());
        let (ta, tb) = (w.thread(a, 10), w.thread(b, 10));
        let quota = w.quota_handle(a);
        let memory = w.ok(ta, Call::MemoryCreate, &[quota, 40, 0])[0];
        let given = w.give(a, memory, b);
        Lenders { w, a, ta, b, tb, memory, given }
    }

    fn map(&mut self, thread: Id<Thread>, memory: u64, address: u64, pages: u64) {
        let space = Handle::SELF_SPACE.word();
        self.w.ok(thread, Call::SpaceMap, &[space, memory, address, 0, pages * PAGE, RW]);
    }
}

#[test]
fn a_revocation_takes_mappings_out_of_every_process() {
    let mut l = Lenders::new();
    let further = derive(&mut l.w, l.tb, l.given);
    l.map(l.ta, l.memory, AT, 40);
    l.map(l.tb, l.given, AT, 40);
    l.map(l.tb, further, AT + 100 * PAGE, 40);
    // The middle is unmapped: what is left on both sides goes on stemming from the capability.
    l.w.ok(l.tb, Call::SpaceUnmap, &[Handle::SELF_SPACE.word(), AT + 10 * PAGE, PAGE]);
    for page in 0..40 {
        if page != 10 {
            l.w.kernel.user_write(l.b, AT + page * PAGE, &[1]).unwrap();
        }
    }
    let space = l.w.kernel.processes[l.b].space.get().unwrap();
    let root = l.w.kernel.space_root(space);
    revoke(&mut l.w, l.ta, l.memory);
    for page in (0..40).chain(100..140) {
        let address = AT + page * PAGE;
        assert!(!mapped(&l.w, l.b, address));
        let page = kernel_core::address::VirtAddr(address);
        assert!(l.w.kernel.machine.translate(root, page).is_none() && !l.w.kernel.machine.is_stale(root, page));
    }
    assert_eq!(l.w.kernel.user_write(l.b, AT, &[1]), Err(Error::BadAddress));
    assert!(mapped(&l.w, l.a, AT), "what the revoker mapped itself stays");
    assert_eq!(l.w.err(l.tb, Call::MemoryInfo, &[l.given]), Error::BadHandle);
    l.w.ok(l.ta, Call::MemoryInfo, &[l.memory]);
    l.w.end();
}

#[test]
fn closing_a_capability_hands_its_mappings_to_its_parent() {
    let mut l = Lenders::new();
    let further = derive(&mut l.w, l.tb, l.given);
    l.map(l.tb, further, AT, 20);
    close(&mut l.w, l.tb, further);
    assert!(mapped(&l.w, l.b, AT), "closing takes nothing away");
    close(&mut l.w, l.tb, l.given);
    assert!(mapped(&l.w, l.b, AT + PAGE));
    l.w.kernel.user_write(l.b, AT, &[7]).unwrap();
    revoke(&mut l.w, l.ta, l.memory);
    assert!(!mapped(&l.w, l.b, AT), "the ancestor's revocation reaches it all the same");
    // Where there is no parent, nobody can take it away any more.
    l.map(l.ta, l.memory, AT, 4);
    close(&mut l.w, l.ta, l.memory);
    assert!(mapped(&l.w, l.a, AT));
    l.w.end();
}

#[test]
fn a_revocation_takes_bound_names_away() {
    let mut p = Pair::new();
    let name = MEMORY + 16 * PAGE;
    p.w.kernel.user_write(p.client, name, b"disk").unwrap();
    let quota = p.w.quota_handle(p.client);
    let names = p.w.ok(p.c, Call::NamespaceCreate, &[quota])[0];
    // The keeper's own capability is the root of what it gave the client.
    let made = p.w.ok(p.k, Call::SessionCreate, &[p.k_endpoint, BADGE + 1, 0])[0];
    let given = p.w.give(p.keeper, made, p.client);
    p.w.ok(p.c, Call::NamespaceBind, &[names, name, 4, given]);
    let copy = p.w.ok(p.c, Call::NamespaceSession, &[names, name, 4])[0];
    p.w.ok(p.c, Call::Inspect, &[copy]);
    close(&mut p.w, p.c, given);
    p.w.ok(p.c, Call::NamespaceSession, &[names, name, 4]);
    revoke(&mut p.w, p.k, made);
    assert_eq!(p.w.err(p.c, Call::NamespaceSession, &[names, name, 4]), Error::NotFound);
    assert_eq!(p.w.err(p.c, Call::NamespaceEntry, &[names, 0, name, 32]), Error::NotFound);
    assert_eq!(p.w.err(p.c, Call::Inspect, &[copy]), Error::BadHandle, "a session got through the name stems from it");
    p.w.end();
}

#[test]
fn a_revocation_ends_calls_under_way() {
    let mut p = Pair::new();
    let made = p.w.ok(p.k, Call::SessionCreate, &[p.k_endpoint, BADGE + 1, 0])[0];
    let given = p.w.give(p.keeper, made, p.client);
    let (c, other) = (p.c, p.c_other());
    p.w.waits(c, Call::Call, &[given, 1, 0]);
    p.w.waits(other, Call::Send, &[given, 2, 0]);
    p.server_receives();
    assert_eq!((p.state(c), p.state(other)), (ThreadState::AwaitingReply, ThreadState::Sending));
    revoke(&mut p.w, p.k, made);
    assert_eq!(failed(p.w.outcome(c)), Some(Error::Revoked));
    assert_eq!(failed(p.w.outcome(other)), Some(Error::Revoked));
    let reply = p.w.object::<kernel_core::object::Reply>(p.server, p.reply);
    assert_eq!(p.w.kernel.replies[reply].state.get(), ReplyState::Cancelled, "taken until the server answers");
    assert!(matches!(p.server_replies(3), Outcome::Done(_)));
    assert_eq!(p.w.kernel.replies[reply].state.get(), ReplyState::Free);
    // Another session is not touched.
    p.client_calls(4);
    assert_eq!(p.server_receives()[1], 4);
    p.w.end();
}

#[test]
fn what_a_revoked_call_lent_for_copying_is_taken_back_at_once_and_what_is_mapped_at_the_answer() {
    for is_mapped in [false, true] {
        let mut p = Pair::new();
        let made = p.w.ok(p.k, Call::SessionCreate, &[p.k_endpoint, BADGE + 1, 0])[0];
        let given = p.w.give(p.keeper, made, p.client);
        p.w.lend(p.c, 0, LENT, PAGE, LeaseAccess::READ | LeaseAccess::WRITE, 0);
        p.w.waits(p.c, Call::Call, &[given, 1, extras(0, 1, false)]);
        p.server_receives();
        if is_mapped {
            p.w.ok(p.s, Call::LeaseMap, &[p.reply, 0, 0, PAGE, AT, RW]);
        }
        revoke(&mut p.w, p.k, made);
        assert_eq!(p.w.err(p.s, Call::LeaseRead, &[p.reply, 0, 0, LENT, 8]), Error::Cancelled);
        if is_mapped {
            assert_eq!(p.state(p.c), ThreadState::AwaitingReply, "no memory is pulled from under the server");
            p.w.kernel.user_write(p.server, AT, &[1]).unwrap();
        } else {
            assert_eq!(failed(p.w.outcome(p.c)), Some(Error::Revoked));
        }
        assert!(matches!(p.server_replies(3), Outcome::Done(_)));
        assert!(matches!(p.w.outcome(p.c), Outcome::Done(_)) == is_mapped);
        assert!(!mapped(&p.w, p.server, AT));
        p.w.end();
    }
}

#[test]
fn a_revocation_ends_the_waits_of_receivers_and_waiters() {
    let mut p = Pair::new();
    p.server_waits();
    let bell = p.w.ok(p.k, Call::NotificationCreate, &[p.k_quota])[0];
    let given = p.w.give(p.keeper, bell, p.client);
    p.w.waits(p.c, Call::Wait, &[given, 0]);
    let kept = p.w.ok(p.k, Call::Derive, &[p.k_endpoint, ALL, 0, 0])[0];
    revoke(&mut p.w, p.k, bell);
    assert_eq!(failed(p.w.outcome(p.c)), Some(Error::Revoked));
    assert_eq!(p.state(p.s), ThreadState::Receiving);
    revoke(&mut p.w, p.k, p.k_endpoint);
    assert_eq!(failed(p.w.outcome(p.s)), Some(Error::Revoked));
    assert_eq!(p.w.err(p.s, Call::Recv, &[p.endpoint, 0, 0, p.reply]), Error::BadHandle);
    assert_eq!(p.w.err(p.k, Call::Inspect, &[kept]), Error::BadHandle);
    p.w.end();
}

#[test]
fn a_call_through_a_closed_capability_stems_from_its_parent() {
    for revoked in [false, true] {
        let mut p = Pair::new();
        let made = p.w.ok(p.k, Call::SessionCreate, &[p.k_endpoint, BADGE + 1, 0])[0];
        let given = p.w.give(p.keeper, made, p.client);
        let (c, other) = (p.c, p.c_other());
        // Many threads: the one that calls is found in steps.
        p.w.waits(c, Call::Call, &[given, 1, 0]);
        p.server_receives();
        close(&mut p.w, other, given);
        assert_eq!(p.state(c), ThreadState::AwaitingReply, "a call goes on when its handle is closed");
        if revoked {
            revoke(&mut p.w, p.k, made);
            assert_eq!(failed(p.w.outcome(c)), Some(Error::Revoked));
            assert!(matches!(p.server_replies(3), Outcome::Done(_)));
        } else {
            // The answer comes by reply_recv, whose fast path leaves such a call alone.
            p.w.waits(p.s, Call::ReplyRecv, &[p.endpoint, 9, 0, p.reply]);
            assert!(matches!(p.w.outcome(c), Outcome::Done([_, 9, ..])));
            revoke(&mut p.w, p.k, made);
        }
        p.client_calls(5);
        p.w.end();
    }
}

#[test]
fn waits_through_closed_capabilities_go_on_and_can_be_revoked() {
    for (revoked, queued) in [(false, false), (true, false), (false, true), (true, true)] {
        let mut p = Pair::new();
        let helper = p.w.thread(p.server, 10);
        if queued {
            let made = p.w.ok(p.k, Call::SessionCreate, &[p.k_endpoint, BADGE + 1, 0])[0];
            let given = p.w.give(p.keeper, made, p.client);
            let other = p.c_other();
            p.w.waits(p.c, Call::Call, &[given, 1, 0]);
            close(&mut p.w, other, given);
            if revoked {
                revoke(&mut p.w, p.k, made);
                assert_eq!(failed(p.w.outcome(p.c)), Some(Error::Revoked));
            } else {
                p.server_receives();
                p.w.waits(p.s, Call::ReplyRecv, &[p.endpoint, 9, 0, p.reply]);
                assert!(matches!(p.w.outcome(p.c), Outcome::Done([_, 9, ..])));
            }
        } else {
            let endpoint = p.w.ok(p.s, Call::Derive, &[p.endpoint, ALL, 0, 0])[0];
            p.w.waits(p.s, Call::Recv, &[endpoint, 0, 0, p.reply]);
            close(&mut p.w, helper, endpoint);
            if revoked {
                revoke(&mut p.w, p.k, p.k_endpoint);
                assert_eq!(failed(p.w.outcome(p.s)), Some(Error::Revoked));
            } else {
                p.client_calls(5);
                assert!(matches!(p.w.outcome(p.s), Outcome::Done([BADGE, 5, ..])));
            }
        }
        p.w.end();
    }
}

#[test]
fn an_open_under_way_stems_from_what_its_name_was_bound_with() {
    for revoked in [false, true] {
        let mut p = Pair::new();
        let name = MEMORY + 16 * PAGE;
        p.w.kernel.user_write(p.client, name, b"disk").unwrap();
        let made = p.w.ok(p.k, Call::SessionCreate, &[p.k_endpoint, BADGE + 1, 0])[0];
        let namespace = p.w.kernel.processes[p.client].namespace.get().unwrap();
        let names = p.w.kernel.cap_insert(p.keeper, abi::Kind::Namespace, namespace.raw(), Rights::all(), None);
        let names = names.unwrap().word();
        p.w.kernel.user_write(p.keeper, name, b"disk").unwrap();
        let bound = derive(&mut p.w, p.k, made);
        p.w.ok(p.k, Call::NamespaceBind, &[names, name, 4, bound]);
        p.w.waits(p.c, Call::Open, &[name, 1, 0, 4]);
        p.server_receives();
        if revoked {
            revoke(&mut p.w, p.k, made);
            assert_eq!(failed(p.w.outcome(p.c)), Some(Error::Revoked));
            assert_eq!(p.w.err(p.c, Call::Open, &[name, 1, 0, 4]), Error::NotFound);
        } else {
            p.w.waits(p.s, Call::ReplyRecv, &[p.endpoint, 9, 0, p.reply]);
            assert!(matches!(p.w.outcome(p.c), Outcome::Done([_, 9, ..])));
        }
        p.w.end();
    }
}

#[test]
fn a_pin_of_revoked_memory_waits_for_its_device_to_stop() {
    let mut l = Lenders::new();
    let root = l.w.kernel.domain_new(l.w.kernel.root_quota(), true).unwrap();
    let root = l.w.kernel.cap_insert(l.b, abi::Kind::DmaDomain, root.raw(), Rights::all(), None).unwrap().word();
    let quota = l.w.quota_handle(l.b);
    let domain = l.w.ok(l.tb, Call::DomainCreate, &[root, quota])[0];
    let pin = l.w.ok(l.tb, Call::DomainPin, &[domain, l.given, 0, PAGE])[0];
    assert_ne!(l.w.buffer(l.tb, buffer::RANGES), 0);
    revoke(&mut l.w, l.ta, l.memory);
    assert_eq!(l.w.err(l.tb, Call::Inspect, &[pin]), Error::BadHandle);
    let object = l.w.object::<kernel_core::object::DmaDomain>(l.b, domain);
    assert_eq!(l.w.kernel.domains[object].quarantined.get(), 1, "its frames stay until the device is stopped");
    l.w.ok(l.tb, Call::DomainRelease, &[domain]);
    assert_eq!(l.w.kernel.domains[object].quarantined.get(), 0);
    l.w.end();
}

#[test]
fn a_capability_counts_its_messages_and_tells_where_it_came_from() {
    let mut p = Pair::new();
    let out = MEMORY + 16 * PAGE;
    let id = |p: &Pair, process: Id<Process>| p.w.kernel.processes[process].header.object_id.get();
    p.server_waits();
    for n in 0..5 {
        p.client_calls(n);
        p.w.waits(p.s, Call::ReplyRecv, &[p.endpoint, n, 0, p.reply]);
    }
    let further = derive(&mut p.w, p.c, p.session);
    let mut index = 0;
    let mut seen = vec![];
    while let Outcome::Done([next, ..]) =
        p.w.call(p.c, Call::ProcessCapability, &[Handle::SELF_PROCESS.word(), index, out])
    {
        let mut words = [0; abi::start::CAPABILITY_INFO_WORDS];
        p.w.kernel.user_read_words(p.client, out, &mut words).unwrap();
        seen.push((words[0], words[6], words[7]));
        index = next;
    }
    // What the keeper gave away was made by it, and it has closed its own: the origin is still told.
    let keeper = id(&p, p.keeper);
    assert!(seen.contains(&(p.session, 5, keeper)), "{seen:?}");
    assert!(seen.contains(&(further, 0, keeper)), "a child made at home comes from where its parent came from");
    p.w.end();
}

#[test]
fn a_revocation_ends_interests_and_waits_on_event_queues() {
    let mut p = Pair::new();
    let out = MEMORY + 16 * PAGE;
    let made = p.w.ok(p.k, Call::SessionCreate, &[p.k_endpoint, BADGE + 1, 0])[0];
    let given = p.w.give(p.keeper, made, p.client);
    let quota = p.w.quota_handle(p.client);
    let queue = p.w.ok(p.c, Call::QueueCreate, &[quota, 8])[0];
    p.w.ok(p.c, Call::QueueAdd, &[queue, given, 5, 1, 0]);
    p.w.waits(p.c, Call::QueueWait, &[queue, out, 8, 0]);
    revoke(&mut p.w, p.k, made);
    // It is told that there is nothing to watch any more, and hears of it no further.
    p.w.force(p.c);
    let _ = p.w.syscall();
    assert!(matches!(p.w.outcome(p.c), Outcome::Done([1, ..])), "{:?}", p.w.outcome(p.c));
    let mut words = [0; 2];
    p.w.kernel.user_read_words(p.client, out, &mut words).unwrap();
    assert_eq!(words, [5, u64::from(abi::event::HANG_UP)]);
    // And a wait ends with the capability of its queue.
    p.w.ok(p.c, Call::QueueRemove, &[queue, 5]);
    let lent = p.w.give(p.client, queue, p.server);
    p.w.kernel.user_write(p.server, out, &[0]).unwrap();
    p.w.waits(p.s, Call::QueueWait, &[lent, out, 8, 0]);
    revoke(&mut p.w, p.c, queue);
    assert_eq!(failed(p.w.outcome(p.s)), Some(Error::Revoked));
    p.w.end();
}
