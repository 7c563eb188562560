//! Private clones of memory whose pages a server supplies: what `MAP_PRIVATE`
//! and `fork` stand on.

use crate::pager::{Scene, AT, GRANTS, PAGE, PAGES, PLACE, READ, SELF_SPACE};
use abi::call::Call;
use abi::Error;
use kernel_core::object::Process;
use kernel_core::world::Outcome;

/// A private mapping of a file: the client clones the object and maps the clone in its place.
fn private(flags: u64) -> (Scene, u64) {
    let mut s = Scene::new(flags);
    let c = s.p.c;
    let given = s.p.w.give(s.p.server, s.object, s.p.client);
    let quota = s.p.w.quota_handle(s.p.client);
    let clone = s.p.w.ok(c, Call::MemoryClone, &[given, quota, 1, PAGES - 1, 0])[0];
    s.p.w.ok(c, Call::SpaceUnmap, &[SELF_SPACE, AT, PAGES * PAGE]);
    s.p.w.ok(c, Call::SpaceMap, &[SELF_SPACE, clone, AT, 0, (PAGES - 1) * PAGE, 3]);
    s.p.w.ok(c, Call::Close, &[given]);
    (s, clone)
}

#[test]
fn a_private_clone_asks_for_the_pages_behind_it_and_keeps_what_it_writes() {
    let (mut s, _) = private(0);
    let c = s.p.c;
    // Even for a store the pager is asked to let it be read: nothing of its own will be written.
    assert!(!s.touch(c, 2, true));
    assert_eq!(s.told(), (3, false));
    s.supply_byte(3, 7, READ);
    assert!(s.touch(c, 2, true));
    assert_eq!(s.byte(2), 7);
    s.p.w.kernel.user_write(s.p.client, AT + 2 * PAGE + 8, &[9]).unwrap();
    assert_eq!(s.byte(2), 9);
    // The page behind is clean, and the pager may have it back: the clone has its own.
    assert_eq!(s.take(3, 1, 1), (1, 0));
    assert_eq!((s.resident(), s.byte(2)), (0, 9));
    assert!(s.touch(c, 2, false));
    s.end();
}

#[test]
fn a_forked_private_clone_shares_what_is_there_and_asks_for_the_rest() {
    let (mut s, clone) = private(GRANTS);
    let c = s.p.c;
    assert!(!s.touch(c, 0, false));
    assert_eq!(s.told(), (1, false));
    s.supply_byte(1, 5, READ);
    assert!(s.touch(c, 0, false));
    // As fork does: a clone of the clone; it is put in the place of the first to be looked at.
    let quota = s.p.w.quota_handle(s.p.client);
    let second = s.p.w.ok(c, Call::MemoryClone, &[clone, quota, 0, PAGES - 1, 0])[0];
    s.p.w.kernel.user_write(s.p.client, AT + 8, &[6]).unwrap();
    s.p.w.ok(c, Call::SpaceUnmap, &[SELF_SPACE, AT, (PAGES - 1) * PAGE]);
    s.p.w.ok(c, Call::SpaceMap, &[SELF_SPACE, second, AT, 0, (PAGES - 1) * PAGE, 3]);
    assert!(s.touch(c, 0, false));
    assert_eq!(s.byte(0), 5, "as it was");
    assert!(!s.touch(c, 4, false));
    assert_eq!(s.told(), (5, false));
    s.supply_byte(5, 8, READ);
    assert!(s.touch(c, 4, false));
    assert_eq!(s.byte(4), 8);
    assert_eq!(s.resident(), 2, "the pager's own pages");
    // It is no source for a pager.
    let server_copy = s.p.w.give(s.p.client, second, s.p.server);
    let args = [s.object, 0, 1, server_copy, 0, READ];
    assert_eq!(s.p.w.err(s.p.s, Call::PagerSupply, &args), Error::BadArgument);
    s.end();
}

#[test]
fn calls_wait_for_pages_behind_a_private_clone_as_accesses_do() {
    let (mut s, clone) = private(0);
    let c = s.p.c;
    // The clone read as an object: its holder may be the pager, so nobody waits.
    assert_eq!(s.p.w.err(c, Call::MemoryRead, &[clone, 0, PLACE, 8]), Error::LeaseFault);
    // Its pages as the caller's own memory: it does wait.
    let quota = s.p.w.quota_handle(s.p.client);
    let plain = s.p.w.ok(c, Call::MemoryCreate, &[quota, 1, 0])[0];
    s.p.w.waits(c, Call::MemoryWrite, &[plain, 0, AT, 8]);
    assert_eq!(s.told(), (1, false));
    s.supply_byte(1, 3, READ);
    assert!(matches!(s.p.w.again(c), Outcome::Done([8, ..])));
    // Nobody will supply any more: what is there stays, what is not faults.
    let server = s.p.server;
    s.p.w.kill(server);
    assert!(s.touch(c, 0, true));
    assert!(!s.touch(c, 1, false));
    s.end();
}

#[test]
fn a_space_with_paged_memory_is_cloned_with_it() {
    let (mut s, _) = private(0);
    let c = s.p.c;
    let quota = s.p.w.quota_handle(s.p.client);
    s.p.w.kernel.user_write(s.p.client, PLACE, b"fork").unwrap();
    let [child, space, ..] = s.p.w.ok(c, Call::ProcessCreate, &[quota, PLACE, 4, 10, 0]);
    s.p.w.ok(c, Call::SpaceClone, &[SELF_SPACE, space, 0]);
    let copy = s.p.w.object::<Process>(s.p.client, child);
    let thread = s.p.w.thread(copy, 10);
    assert!(!s.touch(thread, 3, true));
    assert_eq!(s.told(), (4, false));
    s.supply_byte(4, 4, READ);
    assert!(s.touch(thread, 3, true));
    s.p.w.kernel.user_write(copy, AT + 3 * PAGE + 8, &[1]).unwrap();
    assert!(s.touch(c, 3, false), "the page behind is there still");
    assert_eq!(s.byte(3), 4, "and its own copy is not the child's");
    s.end();
}
