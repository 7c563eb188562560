//! Upcalls: when they come, what they find, how they end, what is refused.

use crate::kit::failed;
use crate::scene::{Scene, ENTRY, NOWHERE, PLACE, STACK, STACK_LENGTH};
use abi::call::Call;
use abi::memory::{USER_END, USER_START};
use abi::thread::{Frame, Interrupted, Registers, RED_ZONE, UPCALL_FAULT, UPCALL_STACK_LEAST};
use abi::{Error, Handle};
use kernel_core::object::ThreadState;
use kernel_core::world::{Outcome, MEMORY};

const NOTHING: u64 = Interrupted::Nothing as u64;
const WAIT: u64 = Interrupted::Wait as u64;

#[test]
fn a_ready_thread_is_interrupted_where_it_is_and_goes_on_there() {
    let mut s = Scene::new();
    let c = s.p.c;
    s.handler(c);
    s.p.w.set_words(c, [1, 2, 3, 4, 5, 6]);
    let r = &s.p.w.kernel.threads[c].registers;
    r.rflags.set(0xfff);
    r.fs_base.set(0x5000);
    r.rax.set(77);
    s.upcall(6);
    let (at, frame) = s.frame(c);
    assert_eq!(at, (STACK + STACK_LENGTH - 27 * 8) & !15);
    assert_eq!((frame.bits, frame.interrupted, frame.vector), (6, NOTHING, 0));
    assert_eq!(
        (frame.registers.rax, frame.registers.rbx, frame.registers.r15, frame.registers.rip, frame.registers.rsp),
        (77, 1, 6, MEMORY, MEMORY)
    );
    assert_eq!((frame.registers.rflags, frame.registers.fs_base), (0xfff, 0x5000));
    let r = &s.p.w.kernel.threads[c].registers;
    assert_eq!((r.rflags.get(), r.fs_base.get(), r.full_frame.get()), (0x202, 0x5000, 1));
    assert_eq!(s.p.w.words(c), [1, 2, 3, 4, 5, 6], "the rest is as it was");
    s.returns(c);
    let r = &s.p.w.kernel.threads[c].registers;
    assert_eq!((r.rip.get(), r.rsp.get(), r.rax.get()), (MEMORY, MEMORY, 77));
    assert_eq!(r.rflags.get(), 0xfd7, "harmless");
    s.p.w.end();
}

#[test]
fn a_thread_can_interrupt_itself() {
    let mut s = Scene::new();
    let c = s.p.c;
    s.handler(c);
    s.p.w.call(c, Call::ThreadUpcall, &[Handle::SELF_THREAD.word(), 1]);
    let (_, frame) = s.frame(c);
    assert_eq!((frame.registers.rax, frame.interrupted), (0, NOTHING), "its call was answered");
    assert!(matches!(s.returns(c), Outcome::Done(_)));
    s.p.w.end();
}

#[test]
fn bits_add_up_while_masked_and_while_there_is_no_handler() {
    let mut s = Scene::new();
    let c = s.p.c;
    s.upcall(1);
    assert!(!s.handles(c));
    s.upcall(4);
    s.handler(c);
    assert_eq!(s.frame(c).1.bits, 5, "told at once");
    assert_eq!(s.frame(c).1.registers.rax, 0, "the call that set it was answered");
    s.upcall(2);
    s.upcall(8);
    let first = s.frame(c);
    assert_eq!(first.1.bits, 5, "masked: one at a time");
    s.returns(c);
    let (_, second) = s.frame(c);
    assert_eq!((second.bits, second.registers.rip), (10, MEMORY), "told at the end of the first");
    s.returns(c);
    assert!(!s.handles(c));
    s.p.w.end();
}

#[test]
fn a_mask_holds_upcalls_back_until_it_is_lifted() {
    let mut s = Scene::new();
    let c = s.p.c;
    s.handler(c);
    assert_eq!(s.p.w.ok(c, Call::UpcallMask, &[1])[0], 0);
    s.upcall(1);
    // Waits go on too.
    let at = s.p.w.now() + 1_000;
    s.p.w.waits(c, Call::Sleep, &[at]);
    s.upcall(2);
    assert_eq!(s.state(c), ThreadState::Sleeping);
    s.p.w.time(at);
    assert!(!s.handles(c));
    assert_eq!(s.p.w.ok(c, Call::UpcallMask, &[1])[0], 1);
    s.p.w.call(c, Call::UpcallMask, &[0]);
    let (_, frame) = s.frame(c);
    assert_eq!(
        (frame.bits, frame.registers.rax, frame.registers.rdi),
        (3, 0, 1),
        "the call that lifted it was answered: it was masked"
    );
    s.returns(c);
    assert_eq!(s.p.w.err(c, Call::UpcallMask, &[2]), Error::BadArgument);
    s.p.w.end();
}

#[test]
fn every_wait_ends_with_interrupted_which_is_seen_after_the_upcall() {
    let interrupted = Outcome::Failed(Error::Interrupted);
    // A call and a message that nobody receives.
    for call in [Call::Call, Call::Send] {
        let mut s = Scene::new();
        let c = s.p.c;
        s.handler(c);
        s.p.w.waits(c, call, &[s.p.session, 1, 0]);
        s.upcall(1);
        let (_, frame) = s.frame(c);
        assert_eq!((frame.interrupted, frame.registers.rax), (WAIT, u64::from(Error::Interrupted.number())));
        assert_eq!(s.returns(c), interrupted);
        s.p.server_waits();
        s.p.w.end();
    }
    // A receive, a notification, a sleep.
    let mut s = Scene::new();
    let (server, ts) = (s.p.s, s.ts);
    s.handler(server);
    let notification = s.p.w.ok(server, Call::NotificationCreate, &[s.p.quota])[0];
    let at = s.p.w.now() + 1_000;
    let waits: [(Call, Vec<u64>); 3] = [
        (Call::Recv, vec![s.p.endpoint, 0, 0, s.p.reply]),
        (Call::Wait, vec![notification, at]),
        (Call::Sleep, vec![at]),
    ];
    for (call, args) in waits {
        s.p.w.waits(server, call, &args);
        s.ok(Call::ThreadUpcall, &[ts, 1]);
        assert_eq!(s.frame(server).1.interrupted, WAIT);
        assert_eq!(s.returns(server), interrupted, "{}", call.name());
    }
    // Nothing of them is left.
    s.p.w.time(at + 1);
    assert_eq!(s.p.w.outcome(server), interrupted);
    s.p.server_waits();
    s.p.w.end();
}

#[test]
fn waits_at_words_and_queues_end_with_interrupted_too() {
    for futex in [true, false] {
        let mut s = Scene::new();
        let c = s.p.c;
        s.handler(c);
        if futex {
            s.p.w.waits(c, Call::FutexWait, &[PLACE, 0, 0]);
        } else {
            let quota = s.p.w.quota_handle(s.p.client);
            let queue = s.p.w.ok(c, Call::QueueCreate, &[quota, 1])[0];
            s.p.w.waits(c, Call::QueueWait, &[queue, PLACE, 1, 0]);
        }
        s.upcall(1);
        assert_eq!(s.frame(c).1.registers.rax, u64::from(Error::Interrupted.number()));
        assert_eq!(s.returns(c), Outcome::Failed(Error::Interrupted));
        s.p.w.end();
    }
}

#[test]
fn a_suspended_thread_runs_its_upcall_when_it_is_resumed() {
    let mut s = Scene::new();
    let (c, tc) = (s.p.c, s.tc);
    s.handler(c);
    s.ok(Call::ThreadSuspend, &[tc]);
    s.upcall(1);
    assert!(!s.handles(c));
    s.ok(Call::ThreadResume, &[tc]);
    assert_eq!(s.frame(c).1.interrupted, NOTHING);
    s.returns(c);
    // In a wait: that ends, and the rest when it is resumed.
    let at = s.p.w.now() + 1_000;
    s.p.w.waits(c, Call::Sleep, &[at]);
    s.ok(Call::ThreadSuspend, &[tc]);
    s.upcall(1);
    assert_eq!(s.state(c), ThreadState::Suspended);
    assert!(!s.handles(c));
    s.ok(Call::ThreadResume, &[tc]);
    assert_eq!(s.frame(c).1.interrupted, WAIT);
    assert_eq!(s.returns(c), Outcome::Failed(Error::Interrupted));
    s.p.w.end();
}

#[test]
fn without_a_stack_frames_go_below_the_red_zone_and_on_a_stack_below_what_is_there() {
    let mut s = Scene::new();
    let c = s.p.c;
    s.p.w.ok(c, Call::UpcallHandler, &[ENTRY, 0, 0, 0]);
    s.p.w.kernel.threads[c].registers.rsp.set(PLACE + 1001);
    s.upcall(1);
    let (at, _) = s.frame(c);
    assert_eq!(at, (PLACE + 1001 - RED_ZONE - 27 * 8) & !15);
    s.returns(c);
    s.handler(c);
    // In the middle of the upcall stack: below.
    s.p.w.kernel.threads[c].registers.rsp.set(STACK + 4096);
    s.upcall(1);
    assert_eq!(s.frame(c).0, (STACK + 4096 - RED_ZONE - 27 * 8) & !15);
    s.returns(c);
    // At its very top, or past it: from the top.
    s.p.w.kernel.threads[c].registers.rsp.set(STACK + STACK_LENGTH);
    s.upcall(1);
    assert_eq!(s.frame(c).0, (STACK + STACK_LENGTH - 27 * 8) & !15);
    s.returns(c);
    s.p.w.end();
}

#[test]
fn an_upcall_can_be_made_in_an_upcall_that_lifts_the_mask() {
    let mut s = Scene::new();
    let c = s.p.c;
    s.handler(c);
    s.upcall(1);
    let (outer, _) = s.frame(c);
    s.p.w.ok(c, Call::UpcallMask, &[0]);
    s.upcall(2);
    let (inner, frame) = s.frame(c);
    assert!(inner < outer && outer - inner >= RED_ZONE);
    assert_eq!((frame.bits, frame.registers.rip, frame.registers.rsp), (2, ENTRY, outer));
    s.returns(c);
    assert_eq!(s.p.w.kernel.threads[c].registers.rsp.get(), outer);
    s.p.w.call(c, Call::UpcallReturn, &[outer]);
    assert!(!s.handles(c));
    s.p.w.end();
}

#[test]
fn a_frame_that_cannot_be_written_ends_the_process_with_a_report() {
    // (stack, length, rsp)
    let rows = [
        (0, 0, 0),
        (0, 0, 100),
        (0, 0, u64::MAX),
        (0, 0, 0x8000_0000_0000),
        (0, 0, 0xffff_ffff_8000_1000),
        (0, 0, NOWHERE),
        (NOWHERE, STACK_LENGTH, MEMORY),
        // Its end is mapped, what is below is not: the frame straddles.
        (MEMORY - 4096, 4096 + 64, NOWHERE),
        // No room left on it.
        (STACK, STACK_LENGTH, STACK + 100),
    ];
    for (stack, length, rsp) in rows {
        let mut s = Scene::new();
        let c = s.p.c;
        s.p.w.ok(c, Call::UpcallHandler, &[ENTRY, stack, length, 0]);
        s.p.w.kernel.threads[c].registers.rsp.set(rsp);
        s.upcall(1);
        assert_eq!(s.died_of(s.p.client), Some(14), "{stack:#x} {length:#x} {rsp:#x}");
        let report = s.p.w.kernel.report_oldest().expect("a report");
        assert_eq!((report[2], report[3]), (14, 6));
        s.p.w.end();
        // The same of itself.
        let mut s = Scene::new();
        let c = s.p.c;
        s.p.w.ok(c, Call::UpcallHandler, &[ENTRY, stack, length, 0]);
        s.p.w.kernel.threads[c].registers.rsp.set(rsp);
        s.p.w.call(c, Call::ThreadUpcall, &[Handle::SELF_THREAD.word(), 1]);
        assert_eq!(s.died_of(s.p.client), Some(14), "{stack:#x} {length:#x} {rsp:#x}");
        s.p.w.end();
    }
}

#[test]
fn hostile_frames_are_refused_or_made_harmless() {
    let mut s = Scene::new();
    let (c, client) = (s.p.c, s.p.client);
    s.handler(c);
    s.upcall(1);
    let (at, good) = s.frame(c);
    for bad in [8, PLACE + 8, PLACE + 1, at + 1] {
        assert_eq!(s.p.w.err(c, Call::UpcallReturn, &[bad]), Error::BadArgument);
    }
    for bad in [NOWHERE, 16, USER_END, !15, 0xffff_8000_0000_0000] {
        assert_eq!(s.p.w.err(c, Call::UpcallReturn, &[bad]), Error::BadAddress);
    }
    let end = MEMORY + kernel_core::world::PAGES * 4096;
    assert_eq!(s.p.w.err(c, Call::UpcallReturn, &[end - 16]), Error::BadAddress, "it straddles the end");
    for (frame, error) in [
        (Frame { interrupted: 3, ..good }, Error::BadArgument),
        (Frame { interrupted: u64::MAX, ..good }, Error::BadArgument),
        (Frame { interrupted: Interrupted::Call as u64, ..good }, Error::BadArgument),
        (Frame { registers: Registers { rip: 0, ..good.registers }, ..good }, Error::BadAddress),
        (Frame { registers: Registers { rip: USER_END, ..good.registers }, ..good }, Error::BadAddress),
        (Frame { registers: Registers { rip: 0x8000_0000_0000, ..good.registers }, ..good }, Error::BadAddress),
        (Frame { registers: Registers { rip: u64::MAX, ..good.registers }, ..good }, Error::BadAddress),
        (Frame { registers: Registers { fs_base: USER_END, ..good.registers }, ..good }, Error::BadAddress),
    ] {
        s.put_frame(client, PLACE, &frame);
        assert_eq!(failed(s.p.w.call(c, Call::UpcallReturn, &[PLACE])), Some(error));
        assert!(s.handles(c), "nothing was set");
        assert!(s.p.w.kernel.threads[c].upcall_masked.get(), "and nothing unmasked");
    }
    // Across a page border, with every flag and a stack pointer that is none.
    let across = PLACE + 4096 - 48;
    let odd = Frame {
        registers: Registers { rflags: u64::MAX, rsp: 0x8000_0000_0000, rip: USER_START, rax: 0, ..good.registers },
        ..good
    };
    s.put_frame(client, across, &odd);
    assert!(matches!(s.p.w.call(c, Call::UpcallReturn, &[across]), Outcome::Done(_)));
    let r = &s.p.w.kernel.threads[c].registers;
    assert_eq!((r.rip.get(), r.rsp.get(), r.rflags.get()), (USER_START, odd.registers.rsp, 0x24_0fd7));
    assert_eq!(r.full_frame.get(), 1);
    // Without an upcall it is a way to set all registers at once.
    s.put_frame(client, PLACE, &Frame { registers: Registers { rip: MEMORY, ..odd.registers }, ..odd });
    s.p.w.ok(c, Call::UpcallReturn, &[PLACE]);
    s.p.w.end();
}

#[test]
fn what_a_handler_may_be() {
    let mut s = Scene::new();
    let c = s.p.c;
    let rows = [
        ([ENTRY, 0, 0, 2], Error::BadArgument),
        ([ENTRY, 0, 4096, 0], Error::BadArgument),
        ([ENTRY, STACK, UPCALL_STACK_LEAST - 1, 0], Error::BadArgument),
        ([USER_START - 1, 0, 0, 0], Error::BadAddress),
        ([USER_END, 0, 0, 0], Error::BadAddress),
        ([ENTRY, 4096, 4096, 0], Error::BadAddress),
        ([ENTRY, USER_END - 2048, 4096, 0], Error::BadAddress),
        ([ENTRY, u64::MAX - 100, 4096, 0], Error::BadAddress),
    ];
    for (args, error) in rows {
        assert_eq!(s.p.w.err(c, Call::UpcallHandler, &args), error, "{args:?}");
        assert_eq!(s.p.w.kernel.threads[c].parked.get(), None);
    }
    s.p.w.ok(c, Call::UpcallHandler, &[ENTRY, STACK, UPCALL_STACK_LEAST, 0]);
    s.p.w.ok(c, Call::UpcallHandler, &[ENTRY, USER_END - 4096, 4096, 0]);
    // None again: upcalls wait for the next.
    s.p.w.ok(c, Call::UpcallHandler, &[0, 0, 0, 0]);
    assert_eq!(s.p.w.kernel.threads[c].parked.get(), None);
    s.upcall(1);
    assert!(!s.handles(c));
    s.p.w.end();
}

#[test]
fn what_an_upcall_may_say_and_to_whom() {
    let mut s = Scene::new();
    let (tc, client) = (s.tc, s.p.client);
    assert_eq!(s.err(Call::ThreadUpcall, &[tc, 0]), Error::BadArgument);
    assert_eq!(s.err(Call::ThreadUpcall, &[tc, UPCALL_FAULT]), Error::BadArgument);
    assert_eq!(s.err(Call::ThreadUpcall, &[tc, UPCALL_FAULT | 1]), Error::BadArgument);
    s.ok(Call::ThreadUpcall, &[tc, UPCALL_FAULT - 1]);
    s.p.w.kill(client);
    assert_eq!(s.err(Call::ThreadUpcall, &[tc, 1]), Error::Closed);
    s.p.w.end();
}
