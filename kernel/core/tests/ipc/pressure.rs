//! Accounts that run short: clean pages make room, and whoever watches is told.

use crate::pager::{Scene, AT, PAGE, PAGES, PLACE, READ, SELF_SPACE};
use abi::call::Call;
use abi::Error;
use kernel_core::mm::fault::Access;
use kernel_core::world::{Outcome, CPU};

#[test]
fn an_account_that_is_full_takes_clean_pages_back_before_it_refuses() {
    let mut s = Scene::new(0);
    let server = s.p.s;
    let account = s.p.w.ok(server, Call::QuotaSplit, &[s.p.quota, 40, 0])[0];
    let object = s.p.w.ok(server, Call::PagerCreate, &[s.p.endpoint, account, 1, 16, 0])[0];
    let source = s.source;
    assert_eq!(s.p.w.ok(server, Call::PagerSupply, &[object, 0, 16, source, 0, READ])[0], 16);
    let fresh = s.p.w.ok(server, Call::MemoryCreate, &[account, 64, 0])[0];
    let mut written = 0;
    let refusal = loop {
        match s.insist(server, Call::MemoryWrite, &[fresh, written * PAGE, PLACE, 1]) {
            Outcome::Done(_) => written += 1,
            Outcome::Failed(error) => break error,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(refusal, Error::OutOfQuota);
    assert_eq!(s.p.w.ok(server, Call::MemoryInfo, &[object])[1], 0, "all clean pages went first");
    let [limit, used, ..] = s.p.w.ok(server, Call::QuotaInfo, &[account]);
    assert_eq!(limit, used);
    s.end();
}

#[test]
fn what_was_brought_of_an_object_that_ended_keeps_nothing_of_the_next_one() {
    let mut s = Scene::new(0);
    let server = s.p.s;
    let account = s.p.w.ok(server, Call::QuotaSplit, &[s.p.quota, 40, 0])[0];
    let mut places = Vec::new();
    for _ in 0..2 {
        let object = s.p.w.ok(server, Call::PagerCreate, &[s.p.endpoint, account, 1, 16, 0])[0];
        places.push(s.p.w.object::<kernel_core::object::Memory>(s.p.server, object));
        assert_eq!(s.p.w.ok(server, Call::PagerSupply, &[object, 0, 16, s.source, 0, READ])[0], 16);
        let fresh = s.p.w.ok(server, Call::MemoryCreate, &[account, 64, 0])[0];
        let mut written = 0;
        while let Outcome::Done(_) = s.insist(server, Call::MemoryWrite, &[fresh, written * PAGE, PLACE, 1]) {
            written += 1;
        }
        assert_eq!(s.p.w.ok(server, Call::MemoryInfo, &[object])[1], 0, "all clean pages went");
        assert_eq!(s.p.w.ok(server, Call::PagerSupply, &[object, 5, 1, fresh, 5, READ])[0], 1);
        s.p.w.ok(server, Call::MemoryRead, &[object, 5 * PAGE, PLACE, 1]);
        s.p.w.ok(server, Call::Close, &[object]);
        s.p.w.ok(server, Call::Close, &[fresh]);
        // What the next one supplies from.
        s.source = s.p.w.ok(server, Call::MemoryCreate, &[s.p.quota, 16, 0])[0];
    }
    assert_eq!(places[0], places[1], "the second took the place of the first");
    s.end();
}

#[test]
fn room_for_a_page_table_is_not_made_of_the_page_that_is_being_mapped() {
    let mut s = Scene::new(0);
    let c = s.p.c;
    for page in 0..5 {
        s.supply_byte(page, 7 + page as u8, READ);
    }
    let root = s.p.w.kernel.root_quota();
    while s.p.w.kernel.charge(root, 1).is_ok() {}
    assert!(s.touch(c, 0, false), "the other clean pages made room for the tables");
    assert_eq!((s.byte(0), s.resident()), (7, 1));
    let frame = s.p.w.kernel.user_frame(s.space(), AT, Access::Read).expect("it is mapped");
    assert_eq!(s.p.w.kernel.frame_info(frame).map(|info| info.references.get()), Some(1), "the object's");
}

#[test]
fn a_call_copies_between_two_clean_pages_of_a_full_account() {
    let mut s = Scene::new(0);
    let (server, object) = (s.p.s, s.object);
    s.supply_byte(0, 7, READ);
    s.supply_byte(1, 8, READ);
    let quota = s.p.quota;
    let fresh = s.p.w.ok(server, Call::MemoryCreate, &[quota, 1, 0])[0];
    s.p.w.ok(server, Call::SpaceMap, &[SELF_SPACE, object, AT, 0, PAGES * PAGE, 3]);
    assert!(s.touch(server, 1, false) && s.touch(server, 0, false));
    let root = s.p.w.kernel.root_quota();
    while s.p.w.kernel.charge(root, 1).is_ok() {}
    // The source was brought before the destination's frame was wanting.
    let outcome = s.insist(server, Call::MemoryWrite, &[fresh, 0, AT + 8, 1]);
    assert!(matches!(outcome, Outcome::Done([1, ..])), "{outcome:?}");
    s.p.w.ok(server, Call::MemoryRead, &[fresh, 0, PLACE, 1]);
    let mut byte = [0];
    s.p.w.kernel.user_read(s.p.server, PLACE, &mut byte).expect("mapped");
    assert_eq!(byte, [7]);
}

#[test]
fn a_watch_does_not_keep_the_account_that_its_notification_is_charged_to() {
    let mut s = Scene::new(0);
    let (server, quota) = (s.p.s, s.p.quota);
    let before = s.p.w.kernel.quotas.iter_used().count();
    let account = s.p.w.ok(server, Call::QuotaSplit, &[quota, 40, 0])[0];
    let watch = s.p.w.ok(server, Call::NotificationCreate, &[account])[0];
    s.p.w.ok(server, Call::PressureWatch, &[account, watch, 1, 1000]);
    for handle in [watch, account] {
        s.p.w.ok(server, Call::Close, &[handle]);
    }
    assert_eq!(s.p.w.kernel.quotas.iter_used().count(), before, "the account came back");
    s.end();
}

#[test]
fn a_limit_that_is_lowered_is_pressure_too() {
    let mut s = Scene::new(0);
    let (server, quota) = (s.p.s, s.p.quota);
    let account = s.p.w.ok(server, Call::QuotaSplit, &[quota, 40, 0])[0];
    let watch = s.p.w.ok(server, Call::NotificationCreate, &[quota])[0];
    s.p.w.ok(server, Call::PressureWatch, &[account, watch, 4, 10]);
    assert_eq!(s.p.w.err(server, Call::Wait, &[watch, 1]), Error::TimedOut);
    s.p.w.ok(server, Call::QuotaLimit, &[quota, account, 0, 5]);
    assert_eq!(s.p.w.ok(server, Call::Wait, &[watch, 1])[0], 4);
    s.end();
}

#[test]
fn whoever_watches_an_account_is_told_when_it_runs_short_and_again_after_it_had_more() {
    let mut s = Scene::new(0);
    let server = s.p.s;
    let quota = s.p.quota;
    let account = s.p.w.ok(server, Call::QuotaSplit, &[quota, 40, 0])[0];
    let watch = s.p.w.ok(server, Call::NotificationCreate, &[quota])[0];
    let bits = |s: &mut Scene| match s.p.w.call(server, Call::Wait, &[watch, 1]) {
        Outcome::Done([bits, ..]) => bits,
        Outcome::Failed(Error::TimedOut) => 0,
        other => panic!("{other:?}"),
    };
    s.p.w.ok(server, Call::PressureWatch, &[account, watch, 4, 10]);
    assert_eq!(bits(&mut s), 0);
    for _ in 0..2 {
        let memory = s.p.w.ok(server, Call::MemoryCreate, &[account, 64, 0])[0];
        for page in 0..32 {
            let _ = s.insist(server, Call::MemoryWrite, &[memory, page * PAGE, PLACE, 1]);
        }
        assert_eq!(bits(&mut s), 4);
        let _ = s.p.w.call(server, Call::MemoryWrite, &[memory, 33 * PAGE, PLACE, 1]);
        assert_eq!(bits(&mut s), 0, "told once");
        s.p.w.ok(server, Call::Close, &[memory]);
        let _ = s.p.w.kernel.leave(CPU);
        assert_eq!(bits(&mut s), 0);
    }
    s.p.w.ok(server, Call::PressureWatch, &[account, 0, 0, 0]);
    let memory = s.p.w.ok(server, Call::MemoryCreate, &[account, 64, 0])[0];
    for page in 0..40 {
        let _ = s.p.w.call(server, Call::MemoryWrite, &[memory, page * PAGE, PLACE, 1]);
    }
    assert_eq!(bits(&mut s), 0, "nobody watches");
    s.end();
}

#[test]
fn the_one_clean_page_among_many_that_are_dirty_or_absent_is_found() {
    let mut s = Scene::new(0);
    let server = s.p.s;
    let account = s.p.w.ok(server, Call::QuotaSplit, &[s.p.quota, 400, 0])[0];
    // Dirty pages beyond one look, and a wide object with one clean page far out.
    let full = s.p.w.ok(server, Call::PagerCreate, &[s.p.endpoint, account, 1, 300, 0])[0];
    let wide = s.p.w.ok(server, Call::PagerCreate, &[s.p.endpoint, account, 2, 1 << 24, 0])[0];
    let source = s.p.w.ok(server, Call::MemoryCreate, &[account, 301, 0])[0];
    let mut done = 0;
    while done < 300 {
        done += s.p.w.ok(server, Call::PagerSupply, &[full, done, 300 - done, source, done, 3])[0];
    }
    s.p.w.ok(server, Call::PagerSupply, &[wide, (1 << 24) - 1, 1, source, 300, READ]);
    let id = s.p.w.object::<kernel_core::object::Quota>(s.p.server, account);
    while s.p.w.kernel.charge(id, 1).is_ok() {}
    assert_eq!(s.p.w.ok(server, Call::MemoryInfo, &[wide])[1], 1);
    let made = s.insist(server, Call::MemoryCreate, &[account, 1, 1]);
    assert!(matches!(made, Outcome::Done(_)), "{made:?}");
    assert_eq!(s.p.w.ok(server, Call::MemoryInfo, &[wide])[1], 0, "the clean page made room");
    assert_eq!(s.p.w.ok(server, Call::MemoryInfo, &[full])[1], 300, "no dirty one went");
    // Now there is none, and the search ends, with interrupts pending at every look too.
    for every in [0, 1] {
        s.p.w.kernel.machine.interrupt_every(every);
        let made = s.insist(server, Call::MemoryCreate, &[account, 1, 1]);
        assert_eq!(made, Outcome::Failed(Error::OutOfQuota));
    }
    s.p.w.kernel.machine.interrupt_every(0);
}
