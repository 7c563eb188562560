//! What the message path and the scheduler promise about their data, checked
//! object by object.

use super::World;
use crate::id::Id;
use crate::list::{Cancelled, InFaulters, InLease, InSession, InVia, Pending, Queue, Woken};
use crate::object::{Cap, ProcessState, Reply, ReplyState, Session, Thread, ThreadState};
use crate::sched::donation::Donating;
use crate::sched::queue::RunQueue;
use crate::tree::{Deadline, InQueue, Sending, Timer, TreeNode};
use abi::{Kind, Rights};
use std::collections::BTreeMap;

/// Everything in a tree, by walking it from the root; panics where a key is out of order.
fn tree<T: TreeNode<Which>, Which>(arena: &crate::arena::Arena<T>, root: u32) -> Vec<Id<T>> {
    let Some(id) = Id::try_new(root as usize) else { return Vec::new() };
    let links = arena[id].links();
    let mut all = tree(arena, links.left.get());
    if let Some(last) = all.last() {
        assert!(arena[*last].links().key.get() < links.key.get());
    }
    all.push(id);
    let right = tree(arena, links.right.get());
    if let Some(first) = right.first() {
        assert!(arena[*first].links().key.get() > links.key.get());
    }
    all.extend(right);
    all
}

impl<const FAULT: u8> World<FAULT> {
    /// Panics unless all promises hold.
    pub fn check(&self) {
        self.check_threads();
        self.check_endpoints();
        self.check_replies();
        self.check_leases();
        self.check_uses();
        self.check_labels();
        self.check_stopped();
        self.check_event_queues();
        self.check_futexes();
        self.check_timers();
    }

    /// What stems from a capability stands in its list, and leads back to it.
    fn check_uses(&self) {
        let k = &self.kernel;
        for id in k.mappings.iter_used() {
            let via = k.mappings[id].via.get();
            let Some(cap) = Id::<Cap>::try_new(via as usize) else { continue };
            assert!(matches!(k.caps[cap].kind(), Some(Kind::Memory | Kind::DeviceMemory)), "{id:?} is of {cap:?}");
            assert!(k.mappings.list::<InVia>(&k.caps[cap].uses).iter().any(|m| m == id));
        }
        for id in k.names.iter_used() {
            let Some(cap) = Id::<Cap>::try_new(k.names[id].via.get() as usize) else { continue };
            assert_eq!(k.caps[cap].kind(), Some(Kind::Session));
            assert!(k.names.list::<InVia>(&k.caps[cap].names).iter().any(|n| n == id));
        }
        for id in k.threads.iter_used() {
            let t = &k.threads[id];
            let Some(cap) = Id::<Cap>::try_new(t.via_list.get() as usize) else {
                assert!(!t.via_parked.get());
                continue;
            };
            assert!(k.threads.list::<InVia>(&k.caps[cap].uses).iter().any(|other| other == id));
            match t.state.get() {
                _ if t.via_parked.get() => assert!(k.parked[t.parked.get().expect("parked")].reply.get().is_some()),
                ThreadState::AwaitingReply => {
                    let reply = &k.replies[t.reply.get().expect("bound")];
                    assert_eq!(reply.short.get(), None, "the fast path would forget to unlink it");
                }
                ThreadState::Receiving => assert_eq!(t.serving.get(), None),
                ThreadState::Sending | ThreadState::Waiting | ThreadState::Polling => {}
                state => panic!("{state:?} waits through no capability"),
            }
        }
    }

    /// Once a policy is loaded, nobody holds a session made since that its label may not have, nor with more rights.
    fn check_labels(&self) {
        let k = &self.kernel;
        if !k.security.is_loaded() {
            return;
        }
        for process in k.processes.iter_used() {
            let label = k.processes[process].label.get();
            for cap in (0..).map_while(|index| k.cap_at(process, index)) {
                let entry = &k.caps[cap];
                if entry.kind() != Some(Kind::Session) {
                    continue;
                }
                let session = &k.sessions[Id::<Session>::try_new(entry.object.get() as usize).expect("a session")];
                let old = session.header.object_id.get() <= k.security.since.get();
                if old || session.label.get() == label {
                    continue;
                }
                let allowed = k.policy_rights(label, session.object_type.get());
                assert!(allowed.contains(Rights::SEND), "a session that label {label} may not have");
                assert!(allowed.contains(entry.rights()), "more rights than label {label} may have");
            }
        }
    }

    /// Nobody who is suspended runs, or can be switched to unseen; nobody goes on past an upcall that is due; what is
    /// parked leads to its call and back.
    fn check_stopped(&self) {
        let k = &self.kernel;
        let irregular = |id: Id<Reply>| k.replies[id].short.get().is_none();
        for id in k.threads.iter_used() {
            let t = &k.threads[id];
            let (state, suspended) = (t.state.get(), t.suspended.get());
            let Some(process) = t.process.get() else {
                assert_eq!((t.parked.get(), t.fault_session.get()), (None, None), "{id:?} has ended");
                continue;
            };
            assert!(suspended || state != ThreadState::Suspended, "{id:?}");
            let parked = t.parked.get().map(|parked| &k.parked[parked]);
            let is_parked = parked.is_some_and(|p| p.is_used.get());
            let due = t.upcall_is_due() && k.processes[process].state.get() == ProcessState::Running;
            match state {
                ThreadState::Ready | ThreadState::Running => {
                    assert!(!suspended, "{id:?} {state:?}");
                    assert!(!due, "{id:?} {state:?} past an upcall");
                    assert!(!t.faulting.get());
                }
                ThreadState::AwaitingReply => {
                    let reply = t.reply.get().expect("bound");
                    assert!(!due || is_parked || t.faulting.get(), "{id:?} could run its upcall");
                    assert!(
                        !(suspended || due || t.faulting.get()) || irregular(reply),
                        "the fast path would not see it"
                    );
                }
                ThreadState::Receiving => {
                    let served = k.endpoints[t.endpoint.get().expect("somewhere")].server.get();
                    assert!(!suspended || served != Some(id), "the fast path would not see it");
                    assert!(!due);
                }
                ThreadState::Suspended | ThreadState::Inactive => {}
                ThreadState::Sending => assert!(!due || t.faulting.get()),
                _ => assert!(!due, "{id:?} {state:?} could run its upcall"),
            }
            assert!(t.upcall_entry.get() == 0 || parked.is_some());
            let Some(parked) = parked else { continue };
            assert_eq!(is_parked, parked.is_answered.get() || parked.reply.get().is_some());
            assert!(!(parked.is_answered.get() && parked.reply.get().is_some()));
            if let Some(reply) = parked.reply.get() {
                assert_eq!(k.replies[reply].caller.get(), Some(id));
                assert!(irregular(reply), "the fast path would not see it");
            }
        }
    }

    /// An interest is in the list of those with something to tell exactly while it has, and nobody waits on a queue that
    /// has something to tell unless someone was woken for it.
    fn check_event_queues(&self) {
        let k = &self.kernel;
        let mut interests = 0;
        for id in k.event_queues.iter_used() {
            let q = &k.event_queues[id];
            let all: Vec<_> = tree::<_, InQueue>(&k.interests, q.interests.get());
            let pending: Vec<_> = k.interests.list::<Pending>(&q.pending).iter().collect();
            let waiters: Vec<_> = k.threads.list::<Queue>(&q.waiters).iter().collect();
            let woken: Vec<_> = k.threads.list::<Woken>(&q.woken).iter().collect();
            interests += all.len();
            assert_eq!(all.len(), q.count.get() as usize);
            assert!(q.count.get() <= q.capacity.get());
            for i in &all {
                let interest = &k.interests[*i];
                assert_eq!(interest.event_queue.get(), Some(id));
                assert_eq!(interest.is_pending.get(), k.interest_news(*i) != 0);
                assert_eq!(interest.is_pending.get(), pending.contains(i));
                if let Some(session) = interest.session.get() {
                    assert!(!k.sessions[session].has_ended.get());
                    assert!(k.interests.list::<InSession>(&k.sessions[session].interests).iter().any(|x| x == *i));
                }
            }
            assert!(pending.iter().all(|i| all.contains(i)));
            assert!(waiters.iter().all(|t| k.threads[*t].state.get() == ThreadState::Polling));
            assert!(woken.iter().all(|t| k.threads[*t].state.get() != ThreadState::Polling));
            assert!(waiters.iter().chain(&woken).all(|t| k.threads[*t].event_queue.get() == Some(id)));
            assert!(q.ending.get() || waiters.is_empty() || pending.is_empty() || !woken.is_empty(), "a lost wake-up");
        }
        assert_eq!(interests, k.interests.iter_used().count());
        for id in k.sessions.iter_used() {
            let s = &k.sessions[id];
            let told: Vec<_> = k.threads.list::<InFaulters>(&s.faulters).iter().collect();
            let due = k.threads.iter_used().filter(|t| k.threads[*t].fault_session.get() == Some(id));
            assert_eq!((told.len(), told.len()), (due.count(), s.faulter_count.get() as usize));
            assert!(told.iter().all(|t| k.threads[*t].fault_session.get() == Some(id)));
            let all = k.interests.list::<InSession>(&s.interests).iter();
            assert_eq!(
                all.map(|i| assert_eq!(k.interests[i].session.get(), Some(id))).count() as u32,
                s.interest_count.get()
            );
        }
    }

    /// Those who wait at words, and no others, are in the trees of their objects, the first by offset, the others by turn.
    fn check_futexes(&self) {
        let k = &self.kernel;
        let mut waiting = 0;
        for id in k.memories.iter_used() {
            for first in tree::<_, Sending>(&k.threads, k.memories[id].futexes.get()) {
                let f = &k.threads[first];
                assert_eq!(f.sending.key.get(), f.waits_at.get());
                let more: Vec<_> = tree::<_, Sending>(&k.threads, f.waits_more.get());
                for t in more.iter().map(|t| &k.threads[*t]) {
                    assert_eq!(t.sending.key.get(), t.waits_turn.get());
                    assert!(f.waits_turn.get() < t.waits_turn.get());
                    assert_eq!(t.waits_more.get(), 0);
                }
                for t in more.iter().chain([&first]) {
                    let t = &k.threads[*t];
                    assert_eq!((t.state.get(), t.waits_in.get()), (ThreadState::FutexWaiting, Some(id)));
                    assert_eq!(t.waits_at.get(), f.waits_at.get());
                    assert_eq!(!(t.waits_turn.get() >> 56) as u8, t.priority.get());
                    waiting += 1;
                }
            }
        }
        let all = k.threads.iter_used().filter(|t| k.threads[*t].state.get() == ThreadState::FutexWaiting);
        assert_eq!(all.count(), waiting);
    }

    fn check_timers(&self) {
        let k = &self.kernel;
        for cpu in k.cpus {
            let timers = tree::<_, Timer>(&k.notifications, cpu.timers.get());
            let Some(first) = timers.first() else { continue };
            let armed = cpu.armed_ns.get();
            assert!(armed <= k.notifications[*first].timer.key.get(), "a timer nobody will notice");
        }
    }

    fn check_threads(&self) {
        let k = &self.kernel;
        let ready: Vec<_> = k.cpus.iter().flat_map(|cpu| ready_of(&cpu.queue, &k.threads)).collect();
        let mut deadlines = Vec::new();
        for cpu in k.cpus {
            let here: Vec<_> = tree::<_, Deadline>(&k.threads, cpu.deadlines.get());
            if let Some(first) = here.first() {
                let armed = cpu.armed_ns.get();
                assert!(armed <= k.threads[*first].deadline.key.get(), "a deadline nobody will notice");
            }
            deadlines.extend(here);
        }
        for id in k.threads.iter_used() {
            let t = &k.threads[id];
            let state = t.state.get();
            assert_eq!(ready.contains(&id), state == ThreadState::Ready, "{id:?} {state:?}");
            assert_eq!(deadlines.contains(&id), t.deadline.level.get() != 0);
            if state == ThreadState::Running {
                assert_eq!(k.cpu_of(t).current.get(), Some(id));
            }
            let bound = state == ThreadState::AwaitingReply || state == ThreadState::Receiving;
            assert!(t.reply.get().is_some() || !bound, "{id:?} {state:?}");
            assert_eq!(t.session.get().is_some(), state == ThreadState::Sending);
            if state != ThreadState::Sending {
                assert!(t.send_leases.iter().all(|l| l.get().is_none()));
            }
            if state != ThreadState::Inactive {
                assert_eq!(t.priority.get(), k.priority_due(id), "{id:?} {state:?}");
            }
            let may_wait_for_time = !matches!(
                state,
                ThreadState::Inactive | ThreadState::Ready | ThreadState::Running | ThreadState::Suspended
            );
            assert!(may_wait_for_time || !deadlines.contains(&id));
            if let Some(endpoint) = t.serving.get() {
                assert_eq!(k.endpoints[endpoint].server.get(), Some(id));
            }
            if state == ThreadState::Paging {
                self.check_paging(id);
            }
            if state == ThreadState::Waiting {
                let notification = &k.notifications[t.notification.get().expect("it waits on something")];
                assert!(k.threads.list::<Queue>(&notification.waiters).iter().any(|w| w == id));
                assert_eq!(notification.bits.get(), 0, "nobody waits for bits that are set");
            }
        }
    }

    /// A thread that waits for a page: one of those who wait for it with the same access asks the pager.
    fn check_paging(&self, id: Id<Thread>) {
        let k = &self.kernel;
        let t = &k.threads[id];
        let memory = &k.memories[t.waits_in.get().expect("it waits for a page of something")];
        let waiters: Vec<_> = tree::<_, Sending>(&k.threads, memory.page_waiters.get());
        assert!(waiters.contains(&id));
        let endpoint = &k.endpoints[memory.pager.get().expect("a pager that is gone supplies nothing")];
        let asking: Vec<_> = k.threads.list::<Queue>(&endpoint.requests).iter().collect();
        let same = |other: &Id<Thread>| {
            let o = &k.threads[*other];
            o.waits_at.get() == t.waits_at.get() && o.paging_write.get() == t.paging_write.get()
        };
        let listed: Vec<_> =
            waiters.iter().copied().filter(same).filter(|o| k.threads[*o].paging_listed.get()).collect();
        assert_eq!(listed.len(), 1, "one asks");
        assert!(asking.contains(&listed[0]));
    }

    fn check_endpoints(&self) {
        let k = &self.kernel;
        for id in k.endpoints.iter_used() {
            let e = &k.endpoints[id];
            let receivers: Vec<_> = k.threads.list::<Queue>(&e.receivers).iter().collect();
            let senders: Vec<_> = tree::<_, Sending>(&k.threads, e.senders.get());
            assert!(receivers.is_empty() || senders.is_empty(), "a message and a receiver that miss each other");
            if !receivers.is_empty() {
                // (A round concerns the receives that follow: an end told before may stand to be told again.)
                let bits = e.notification.get().map_or(0, |n| k.notifications[n].bits.get());
                assert_eq!(bits, 0, "bits that nobody is told");
            }
            for r in &receivers {
                let t = &k.threads[*r];
                assert_eq!((t.state.get(), t.endpoint.get()), (ThreadState::Receiving, Some(id)));
            }
            for s in &senders {
                let t = &k.threads[*s];
                assert_eq!((t.state.get(), t.endpoint.get()), (ThreadState::Sending, Some(id)));
            }
            if let Some(server) = e.server.get() {
                assert_eq!(k.threads[server].serving.get(), Some(id));
            }
            if let Some(short) = e.short.get() {
                assert_eq!((receivers.as_slice(), e.server.get()), (&[short][..], Some(short)));
                let t = &k.threads[short];
                assert_eq!((t.donors.get(), t.deadline.level.get(), t.registers.full_frame.get()), (0, 0, 0));
                assert!(!t.suspended.get() && !e.closed.get() && e.ended.first.get() == 0);
            }
            if let Some(reply) = e.bound.get().filter(|reply| k.replies[*reply].short.get() == Some(id)) {
                assert_eq!(k.replies[reply].receiver.get(), e.server.get());
                let waits = (e.receivers.first.get(), e.senders.get(), e.told.get(), e.cancelled.first.get());
                assert_eq!((waits, e.request_next.get()), ((0, 0, 0, 0), 0), "it would be received instead");
                assert_eq!(e.notification.get().map_or(0, |n| k.notifications[n].bits.get()), 0);
            }
            let paging = k.threads.iter_used().filter(|t| {
                let object = k.threads[*t].waits_in.get().filter(|_| k.threads[*t].state.get() == ThreadState::Paging);
                object.is_some_and(|object| k.memories[object].pager.get() == Some(id))
            });
            let waiting: Vec<u8> = paging.map(|t| k.threads[t].priority.get()).collect();
            let due = waiting.iter().copied().max().unwrap_or(0);
            // With many of them it may be more for a while.
            let urgency = e.request_urgency.get();
            assert!(urgency == due || waiting.len() > 60 && urgency > due, "{urgency} for {waiting:?}");
            if let Some(n) = e.notification.get() {
                assert_eq!(k.notifications[n].endpoint.get(), Some(id));
            }
        }
    }

    fn check_replies(&self) {
        let k = &self.kernel;
        for id in k.endpoints.iter_used() {
            for reply in k.replies.list::<Cancelled>(&k.endpoints[id].cancelled).iter() {
                let r = &k.replies[reply];
                assert!(matches!(r.state.get(), ReplyState::Bound | ReplyState::Cancelled));
                assert_ne!(r.cancel_reason.get(), 0);
                assert_eq!(r.short.get(), None, "the fast path would forget to take it out");
            }
        }
        let mut donors: BTreeMap<u32, Vec<Id<Reply>>> = BTreeMap::new();
        for id in k.threads.iter_used() {
            let all = tree::<_, Donating>(&k.replies, k.threads[id].donors.get());
            donors.insert(id.raw(), all);
        }
        for id in k.replies.iter_used() {
            let r = &k.replies[id];
            let state = r.state.get();
            if let Some(caller) = r.caller.get() {
                let t = &k.threads[caller];
                assert!(matches!(state, ReplyState::Bound | ReplyState::Dead), "{state:?}");
                if k.parked_at(caller, id).is_none() {
                    assert_eq!((t.state.get(), t.reply.get()), (ThreadState::AwaitingReply, Some(id)));
                }
            } else {
                assert_ne!(state, ReplyState::Bound);
            }
            match (state, r.receiver.get()) {
                (ReplyState::Receiving, receiver) => {
                    let t = &k.threads[receiver.expect("someone receives with it")];
                    assert_eq!((t.state.get(), t.reply.get()), (ThreadState::Receiving, Some(id)));
                }
                (ReplyState::Bound, Some(receiver)) => assert!(donors[&receiver.raw()].contains(&id)),
                (ReplyState::Bound, None) => {}
                (_, receiver) => assert_eq!(receiver, None, "{state:?}"),
            }
            let lent = r.leases.iter().filter(|l| l.get().is_some()).count();
            assert!(lent <= usize::from(r.lease_count.get()));
            let taken = matches!(state, ReplyState::Bound | ReplyState::Cancelled | ReplyState::Dead);
            assert!(taken || r.lease_count.get() == 0);
            if let Some(endpoint) = r.short.get() {
                assert_eq!((state, r.endpoint.get(), r.lease_count.get()), (ReplyState::Bound, Some(endpoint), 0));
                let caller = &k.threads[r.caller.get().expect("its caller waits")];
                assert_eq!((caller.deadline.level.get(), caller.registers.full_frame.get()), (0, 0));
                let receiver = &k.threads[r.receiver.get().expect("its receiver owes it")];
                assert_eq!((receiver.donors.get(), r.donating.level.get()), (id.raw(), 1), "it owes nothing else");
            }
            assert!(taken || r.end_error.get() == 0, "{state:?}");
            if state == ReplyState::Dead {
                assert!(k.leases_hold(id), "a call that should have ended");
            } else {
                assert_ne!(r.header.references.get(), 0, "{state:?}");
            }
        }
        for reply in donors.into_values().flatten() {
            assert_eq!(k.replies[reply].state.get(), ReplyState::Bound);
        }
    }

    fn check_leases(&self) {
        let k = &self.kernel;
        for id in k.leases.iter_used() {
            let lease = &k.leases[id];
            let below: Vec<_> = k.leases.iter_used().filter(|l| k.leases[*l].parent.get() == Some(id)).collect();
            assert_eq!(below.len(), lease.children.get() as usize);
            let holding = below.iter().filter(|l| k.leases[**l].is_holding()).count();
            assert_eq!(holding, lease.children_holding.get() as usize);
            let mappings = k.mappings.list::<InLease>(&lease.mappings).iter().count();
            let pins = k.pins.iter_used().filter(|p| k.pins[*p].lease.get() == Some(id)).count();
            assert_eq!(pins, lease.pins.get() as usize);
            assert_eq!(mappings + pins, lease.holds.get() as usize);
            match lease.reply.get() {
                Some(reply) => assert!(k.replies[reply].leases.iter().any(|l| l.get() == Some(id))),
                None => {
                    let sent = |t: Id<_>| k.threads[t].send_leases.iter().any(|l| l.get() == Some(id));
                    let queued = k.threads.iter_used().any(sent);
                    assert!(queued || !below.is_empty(), "a lease that nobody will free");
                }
            }
        }
    }
}

/// All ready threads of a queue; panics where a list, its bit and the top disagree.
fn ready_of(queue: &RunQueue, threads: &crate::arena::Arena<Thread>) -> Vec<Id<Thread>> {
    let (mut all, mut top) = (Vec::new(), None);
    for priority in 0..=u8::MAX {
        let list: Vec<_> = threads.list::<Queue>(queue.head(priority)).iter().collect();
        let (word, bit) = queue.word(priority);
        assert_eq!(word.get() & bit != 0, !list.is_empty());
        assert!(list.iter().all(|id| threads[*id].priority.get() == priority));
        if !list.is_empty() {
            top = Some(priority);
        }
        all.extend(list);
    }
    assert_eq!(queue.top(), top);
    all
}
