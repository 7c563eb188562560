//! What has to be true of every frame, whatever happened: one owner, one
//! payer, and nothing reachable that is not
//! the reacher's.

use kernel_core::address::FrameNumber;
use kernel_core::object::MappingKind;
use kernel_core::test_machine::TestMachine;
use kernel_core::tree::InSpace;
use kernel_core::Kernel;
use std::collections::BTreeMap;

/// Panics unless every frame has one owner and every account is right to the page.
pub fn check<const FAULT: u8>(k: &Kernel<TestMachine<FAULT>>, frames: u32) {
    let mut owner: BTreeMap<u32, String> = BTreeMap::new();
    let mut own = |frame: FrameNumber, who: String| {
        assert!(k.frame_info(frame).is_some_and(|i| i.references.get() > 0), "{who} uses {frame:?}, which is free");
        if let Some(other) = owner.insert(frame.0, who.clone()) {
            panic!("{frame:?} belongs to {other} and to {who}");
        }
    };
    for id in k.memories.iter_used() {
        for page in 0..k.memories[id].length_pages.get() {
            if let Some(frame) = k.memory_frame(id, page) {
                own(frame, format!("memory {id:?}"));
            }
        }
    }
    for frame in k.machine.arena_frames() {
        own(frame, "an arena".into());
    }
    for id in k.spaces.iter_used() {
        own(k.spaces[id].root.get(), format!("the root of {id:?}"));
    }
    for frame in k.machine.table_frames() {
        own(frame, "a page table".into());
    }
    for id in k.threads.iter_used() {
        let frame = k.threads[id].fpu.get();
        if frame.0 != 0 {
            own(frame, format!("the FPU state of {id:?}"));
        }
    }
    reachable(k);
    accounts(k, frames);
}

/// Every translation leads to a page that a mapping of that space is about.
fn reachable<const FAULT: u8>(k: &Kernel<TestMachine<FAULT>>) {
    for id in k.spaces.iter_used() {
        let space = &k.spaces[id];
        for (page, translation) in k.machine.translations(space.root.get()) {
            let mapping = k.mappings.tree::<InSpace>(&space.mappings).floor(page).expect("a mapping is there");
            let mapping = &k.mappings[mapping];
            assert!(page < mapping.end(), "{page:#x} of {id:?} is mapped by nothing");
            assert!(mapping.protection().contains(translation.protection), "{page:#x} allows more than its mapping");
            assert_ne!(mapping.kind.get(), MappingKind::Device);
            let memory = mapping.memory.get().expect("memory is behind it");
            let frame = k.memory_frame(memory, mapping.page_at(page)).expect("its page is in memory");
            assert_eq!(translation.address, frame.address(), "{page:#x} of {id:?} leads elsewhere");
        }
    }
}

/// Every account's use is the frames charged to it and what its children may use; and nothing is lost.
fn accounts<const FAULT: u8>(k: &Kernel<TestMachine<FAULT>>, frames: u32) {
    let mut charged: BTreeMap<u32, u64> = BTreeMap::new();
    let mut used = 0;
    for frame in 16..frames {
        let Some(info) = k.frame_info(FrameNumber(frame)) else { continue };
        if info.references.get() > 0 {
            used += 1;
            if let Some(quota) = info.quota.get() {
                *charged.entry(quota.raw()).or_default() += 1;
            }
        }
    }
    assert_eq!(used + k.frames.free(), frames - 16, "every frame is used or free");
    for id in k.quotas.iter_used() {
        let children = k.quotas.iter_used().filter(|c| k.quotas[*c].parent.get() == Some(id));
        let children: u64 = children.map(|c| k.quotas[c].limit_pages.get()).sum();
        let quota = &k.quotas[id];
        let own = charged.remove(&id.raw()).unwrap_or(0);
        assert_eq!(quota.used_pages.get(), own + children, "{id:?} is charged for what it holds");
        assert!(quota.used_pages.get() <= quota.limit_pages.get());
        assert!(!quota.orphaned.get() || quota.used_pages.get() == quota.limit_pages.get());
    }
    assert!(charged.is_empty(), "an account that is gone is charged");
}
