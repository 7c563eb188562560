//! What needs a page that cannot be had.

use crate::kit::failed;
use crate::scene::{Scene, ENTRY, MEMORY_END};
use abi::call::Call;
use abi::Error;
use kernel_core::world::Outcome;

/// A page of a test process's memory that nobody has touched.
const UNTOUCHED: u64 = MEMORY_END - 4096;

/// Makes a call with nothing left in the account, then with no free frame, then with both there again.
#[track_caller]
fn refused_twice(s: &mut Scene, mut call: impl FnMut(&mut Scene) -> Outcome) -> Outcome {
    let root = s.p.w.kernel.root_quota();
    let mut charged = 0;
    while s.p.w.kernel.charge(root, 1).is_ok() {
        charged += 1;
    }
    assert_eq!(failed(call(s)), Some(Error::OutOfQuota));
    s.p.w.kernel.uncharge(root, charged);
    let mut taken = Vec::new();
    while let Some(frame) = s.p.w.kernel.frames.take() {
        taken.push(frame);
    }
    assert_eq!(failed(call(s)), Some(Error::OutOfMemory));
    for frame in taken {
        s.p.w.kernel.frames.release(frame);
    }
    call(s)
}

#[test]
fn registers_and_frames_need_their_pages() {
    for call in [Call::ThreadRegisters, Call::ThreadSetRegisters] {
        let mut s = Scene::new();
        let tc = s.tc;
        s.ok(Call::ThreadSuspend, &[tc]);
        let outcome = refused_twice(&mut s, |s| s.p.w.call(s.p.k, call, &[tc, UNTOUCHED]));
        // Zeros are no registers that could be set.
        let zeros = Outcome::Failed(Error::BadAddress);
        assert!(matches!(outcome, Outcome::Done(_)) || call == Call::ThreadSetRegisters && outcome == zeros);
        s.p.w.end();
    }
    let mut s = Scene::new();
    let outcome = refused_twice(&mut s, |s| s.p.w.call(s.p.c, Call::UpcallReturn, &[UNTOUCHED]));
    assert_eq!(failed(outcome), Some(Error::BadAddress), "zeros are no frame either");
    s.p.w.end();
}

#[test]
fn a_handler_needs_the_place_for_a_parked_call() {
    let mut s = Scene::new();
    let outcome = refused_twice(&mut s, |s| {
        let outcome = s.p.w.call(s.p.c, Call::UpcallHandler, &[ENTRY, 0, 0, 0]);
        let entry = s.p.w.kernel.threads[s.p.c].upcall_entry.get();
        assert_eq!(entry == ENTRY, failed(outcome).is_none());
        outcome
    });
    assert!(matches!(outcome, Outcome::Done(_)));
    s.p.w.end();
}
