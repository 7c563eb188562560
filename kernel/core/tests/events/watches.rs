//! The rules of watches on processes.

use crate::kit::Pair;
use abi::call::Call;
use abi::{Handle, Kind, Rights};
use kernel_core::id::Id;
use kernel_core::object::Process;
use kernel_core::world::World;

const QUOTA: u64 = Handle::SELF_QUOTA.0 as u64;
const PROCESS: u64 = Handle::SELF_PROCESS.0 as u64;

/// A handle to a process, in another's table.
fn handle_to(w: &World, process: Id<Process>, holder: Id<Process>) -> u64 {
    let rights = Rights::INSPECT | Rights::MANAGE;
    w.kernel.cap_insert(holder, Kind::Process, process.raw(), rights, None).unwrap().word()
}

#[test]
fn a_watch_outlives_the_watchers_handle_and_process_and_is_given_back() {
    let mut p = Pair::new();
    let target = handle_to(&p.w, p.client, p.server);
    let bell = p.w.ok(p.s, Call::NotificationCreate, &[QUOTA])[0];
    p.w.ok(p.s, Call::ProcessWatch, &[target, bell, 1]);
    p.w.ok(p.s, Call::Close, &[bell]);
    let second = p.w.ok(p.s, Call::NotificationCreate, &[QUOTA])[0];
    p.w.ok(p.s, Call::ProcessWatch, &[target, second, 2]);
    p.w.ok(p.s, Call::ProcessWatch, &[target, second, 4]);
    assert_eq!(p.w.kernel.watches.iter_used().count(), 3);
    p.w.kill(p.client);
    assert_eq!(p.w.kernel.watches.iter_used().count(), 0);
    assert_eq!(p.w.ok(p.s, Call::Wait, &[second, 1])[0], 6);
    // The watcher first, wholly.
    let process = p.w.process();
    let third = handle_to(&p.w, process, p.server);
    p.w.ok(p.s, Call::ProcessWatch, &[third, second, 8]);
    let kept = handle_to(&p.w, process, p.keeper);
    p.w.kill(p.server);
    assert_eq!(p.w.kernel.watches.iter_used().count(), 1);
    p.w.kill(process);
    assert_eq!(p.w.kernel.watches.iter_used().count(), 0);
    assert_eq!(p.w.kernel.notifications.iter_used().count(), 0);
    p.w.ok(p.k, Call::Close, &[kept]);
    p.w.end();
}

#[test]
fn a_process_can_watch_itself() {
    let mut p = Pair::new();
    let bell = p.w.ok(p.c, Call::NotificationCreate, &[QUOTA])[0];
    p.w.ok(p.c, Call::ProcessWatch, &[PROCESS, bell, 1]);
    let theirs = p.w.give(p.client, bell, p.server);
    p.w.waits(p.s, Call::Wait, &[theirs, 0]);
    p.w.kill(p.client);
    assert_eq!(p.w.outcome(p.s), kernel_core::world::Outcome::Done([1, 0, 0, 0]));
    // With nobody left to hear it.
    let bell = p.w.ok(p.s, Call::NotificationCreate, &[QUOTA])[0];
    p.w.ok(p.s, Call::ProcessWatch, &[PROCESS, bell, 1]);
    p.w.kill(p.server);
    assert_eq!(p.w.kernel.watches.iter_used().count(), 0);
    p.w.end();
}

#[test]
fn many_watchers_are_told_in_steps() {
    let mut p = Pair::new();
    let target = handle_to(&p.w, p.client, p.server);
    let bells: Vec<u64> = (0..200)
        .map(|_| {
            let bell = p.w.ok(p.s, Call::NotificationCreate, &[QUOTA])[0];
            p.w.ok(p.s, Call::ProcessWatch, &[target, bell, 1]);
            bell
        })
        .collect();
    p.w.kernel.machine.interrupt_every(1);
    p.w.kernel.process_end(p.client, kernel_core::object::ProcessState::Killed, 0);
    let mut last = 200;
    while p.w.kernel.reap_pending() {
        let _ = p.w.kernel.leave(kernel_core::world::CPU);
        p.w.check();
        let left = p.w.kernel.watches.iter_used().count();
        assert!(last - left <= 1, "one a step");
        last = left;
    }
    p.w.kernel.machine.interrupt_every(0);
    assert_eq!(last, 0);
    for bell in bells {
        assert_eq!(p.w.ok(p.s, Call::Wait, &[bell, 1])[0], 1);
    }
    p.w.end();
}
