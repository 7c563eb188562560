//! Threads that wait for a page: their urgency, what interrupts them, and who is
//! told when a pager dies.

use crate::pager::{Scene, AT, KEY, PAGE, PLACE, READ};
use abi::call::Call;
use kernel_core::object::ThreadState;
use kernel_core::world::{Outcome, MEMORY};

#[test]
fn a_pager_is_as_urgent_as_whoever_waits_for_a_page() {
    let mut s = Scene::new(0);
    let (c, server) = (s.p.c, s.p.s);
    let (other, urgent, _) = s.p.another_client(8, 90);
    s.map(other);
    let priority = |s: &Scene| s.p.w.kernel.threads[server].priority.get();
    let calm = priority(&s);
    // It has received here before, so it is the one who serves.
    s.p.server_waits();
    let own = s.p.w.kernel.threads[c].priority.get();
    assert!(!s.touch(c, 1, false));
    assert_eq!(priority(&s), calm.max(own));
    // Who waits for a page that is asked for already counts too.
    assert!(!s.touch(urgent, 1, false));
    assert_eq!(priority(&s), 90);
    s.supply_byte(1, 3, READ);
    assert_eq!(priority(&s), calm, "nobody waits any more");
    // One that becomes more urgent while it waits.
    assert!(!s.touch(c, 2, false));
    s.p.w.kernel.thread_set_priority(c, 70);
    s.p.w.check();
    assert_eq!(priority(&s), 70);
    s.p.w.kernel.thread_set_priority(c, 5);
    s.p.w.check();
    assert_eq!(priority(&s), calm.max(5));
    s.end();
}

#[test]
fn a_stand_by_that_waits_already_is_told_what_a_dead_pager_was_told() {
    let mut s = Scene::new(0);
    let (c, endpoint) = (s.p.c, s.p.endpoint);
    let next = s.p.w.process();
    let thread = s.p.w.thread(next, 10);
    let quota = s.p.w.quota_handle(next);
    let reply = s.p.w.ok(thread, Call::ReplyCreate, &[quota])[0];
    let given = s.p.w.give(s.p.server, endpoint, next);
    let own = [endpoint, 0, 0, s.p.reply];
    s.p.w.waits(s.p.s, Call::Recv, &own);
    s.p.w.waits(thread, Call::Recv, &[given, 0, 0, reply]);
    assert!(!s.touch(c, 1, false));
    assert_eq!(s.p.state(s.p.s), ThreadState::Ready, "the first is told");
    assert_eq!(s.p.state(thread), ThreadState::Receiving);
    let server = s.p.server;
    s.p.w.kill(server);
    assert_eq!(s.p.state(thread), ThreadState::Ready, "it is told");
    let [key, page, write, ..] = s.p.w.words(thread);
    assert_eq!((key, page, write), (KEY, 1, 0));
    s.end();
}

#[test]
fn many_who_wait_for_one_page_go_on_in_steps() {
    let mut s = Scene::new(0);
    let mut waiting = vec![];
    let (other, thread, _) = s.p.another_client(8, 10);
    s.map(other);
    waiting.push(thread);
    for _ in 0..6 {
        waiting.push(s.p.w.thread(other, 10));
    }
    for thread in &waiting {
        assert!(!s.touch(*thread, 2, false));
    }
    let source = s.source;
    s.p.w.kernel.user_write(s.p.server, PLACE, &[9; 16]).expect("mapped");
    s.p.w.ok(s.p.s, Call::MemoryWrite, &[source, 0, PLACE, 16]);
    s.p.w.kernel.machine.interrupt_every(1);
    let args = [s.object, 2, 1, source, 0, READ];
    s.p.w.call(s.p.s, Call::PagerSupply, &args);
    let left = |s: &Scene| waiting.iter().filter(|t| s.p.state(**t) == ThreadState::Paging).count();
    assert_eq!(left(&s), 6, "one a step");
    let mut steps = 1;
    while s.p.w.kernel.threads[s.p.s].registers.rax.get() == Call::PagerSupply as u64 {
        s.p.w.again(s.p.s);
        steps += 1;
    }
    s.p.w.kernel.machine.interrupt_every(0);
    assert_eq!((left(&s), s.p.w.outcome(s.p.s)), (0, Outcome::Done([1, 2, 1, source])));
    assert!(steps > 5);
    s.end();
}

#[test]
fn an_upcall_interrupts_the_wait_for_a_page_which_is_wanted_again_after_it() {
    let mut s = Scene::new(0);
    let (c, server) = (s.p.c, s.p.s);
    const ENTRY: u64 = MEMORY + 0x100;
    let (stack, length) = (MEMORY + 12 * PAGE, 2 * PAGE);
    s.p.w.ok(c, Call::UpcallHandler, &[ENTRY, stack, length, 0]);
    let handle = s.p.w.kernel.cap_insert(s.p.server, abi::Kind::Thread, c.raw(), abi::Rights::all(), None).unwrap();
    s.p.w.kernel.retain(c);
    let quota = s.p.w.quota_handle(s.p.client);
    let plain = s.p.w.ok(c, Call::MemoryCreate, &[quota, 1, 0])[0];
    let rip = |s: &Scene| s.p.w.kernel.threads[c].registers.rip.get();
    for in_a_call in [false, true] {
        if in_a_call {
            s.p.w.waits(c, Call::MemoryWrite, &[plain, 0, AT + PAGE, 8]);
        } else {
            assert!(!s.touch(c, 0, false));
        }
        let page = u64::from(in_a_call);
        assert_eq!(s.told(), (page, false));
        let before = rip(&s);
        s.p.w.ok(server, Call::ThreadUpcall, &[handle.word(), 1]);
        assert_eq!((s.p.state(c), rip(&s)), (ThreadState::Ready, ENTRY), "the handler runs");
        let frame = s.p.w.kernel.threads[c].registers.rsi.get();
        // It is nobody's request any more, until the handler has returned.
        s.supply_byte(page, 1, READ);
        assert_eq!(s.take(page, 1, 1), (1, 0));
        s.p.w.call(c, Call::UpcallReturn, &[frame]);
        assert_eq!(rip(&s), before - if in_a_call { 2 } else { 0 });
        if in_a_call {
            s.p.w.again(c);
        } else {
            assert!(!s.touch(c, 0, false));
        }
        assert_eq!(s.p.state(c), ThreadState::Paging);
        assert_eq!(s.told(), (page, false), "it is asked for again");
        s.supply_byte(page, 2, READ);
        if in_a_call {
            assert!(matches!(s.p.w.again(c), Outcome::Done([8, ..])));
        } else {
            assert!(s.touch(c, 0, false));
        }
    }
    s.p.w.kernel.release(c);
    s.end();
}
