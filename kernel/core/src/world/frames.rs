//! What has to be true of every frame, whatever happened: an owner, a payer,
//! and no way to it but through a mapping.

use crate::address::FrameNumber;
use crate::kernel::Kernel;
use crate::object::{MappingKind, Memory};
use crate::test_machine::TestMachine;
use crate::tree::InSpace;
use std::collections::BTreeMap;

/// Pages of a memory object that are looked at: more can be asked for than anyone would look through.
const PAGES_SEEN: u64 = 4096;

/// Panics unless every frame of a machine with this many has its owners right, and every account is right to the page.
pub fn check<const FAULT: u8>(k: &Kernel<TestMachine<FAULT>>, frames: u32) {
    owners(k);
    reachable(k);
    accounts(k, frames);
}

/// A frame belongs to one thing alone, or to as many memory objects as share it.
fn owners<const FAULT: u8>(k: &Kernel<TestMachine<FAULT>>) {
    let mut alone: BTreeMap<u32, &str> = BTreeMap::new();
    let mut own = |frame: FrameNumber, who: &'static str| {
        assert!(k.frame_info(frame).is_some_and(|i| i.references.get() > 0), "{who} uses {frame:?}, which is free");
        if let Some(other) = alone.insert(frame.0, who) {
            panic!("{frame:?} belongs to {other} and to {who}");
        }
    };
    k.machine.arena_frames().into_iter().for_each(|frame| own(frame, "an arena"));
    k.machine.table_frames().into_iter().for_each(|frame| own(frame, "a page table"));
    k.spaces.iter_used().for_each(|id| own(k.spaces[id].root.get(), "the root of a space"));
    let states = k.threads.iter_used().map(|id| k.threads[id].fpu.get());
    states.filter(|frame| frame.0 != 0).for_each(|frame| own(frame, "a thread's FPU state"));
    let mut holders: BTreeMap<u32, u32> = BTreeMap::new();
    let memories: Vec<_> = k.memories.iter_used().filter(|id| k.memories[*id].foreign.get() == 0).collect();
    let all_seen = memories.iter().all(|id| k.memories[*id].length_pages.get() <= PAGES_SEEN);
    for id in memories {
        let there = k.memories[id].length_pages.get() - set_aside(&k.memories[id]);
        for page in 0..there.min(PAGES_SEEN) {
            let Some(frame) = k.memory_frame(id, page) else { continue };
            *holders.entry(frame.0).or_default() += 1;
            assert!(!alone.contains_key(&frame.0), "{frame:?} belongs to a memory and to {}", alone[&frame.0]);
        }
    }
    for (frame, count) in holders {
        let info = k.frame_info(FrameNumber(frame)).expect("a frame of memory");
        assert!(info.references.get() > 0, "frame {frame} is in a memory and free");
        let sharers = info.sharers.get() + 1;
        assert!(sharers == count || !all_seen && sharers > count, "frame {frame}: {count} hold it, {sharers} counted");
    }
}

/// Every translation leads to a page that a mapping of that space is about, and allows no more than it.
fn reachable<const FAULT: u8>(k: &Kernel<TestMachine<FAULT>>) {
    for id in k.spaces.iter_used() {
        let space = &k.spaces[id];
        for (page, translation) in k.machine.translations(space.root.get()) {
            let mapping = k.mappings.tree::<InSpace>(&space.mappings).floor(page).expect("a mapping is there");
            let mapping = &k.mappings[mapping];
            assert!(page < mapping.end(), "{page:#x} of {id:?} is mapped by nothing");
            let mut allowed = mapping.protection();
            if !allowed.is_empty() {
                // What can be written or executed can be read: the page tables can't say otherwise.
                allowed |= abi::memory::Protection::READ;
            }
            assert!(allowed.contains(translation.protection), "{page:#x} allows more than its mapping");
            let is_device = mapping.kind.get() == MappingKind::Device;
            assert_eq!(translation.device, is_device, "{page:#x} of {id:?}");
            if is_device || translation.large {
                continue;
            }
            let memory = mapping.memory.get().expect("memory is behind it");
            let frame = k.memory_frame(memory, mapping.page_at(page)).expect("its page is in memory");
            assert_eq!(translation.address, frame.address(), "{page:#x} of {id:?} leads elsewhere");
        }
    }
}

/// Pages of a run that is half made: they are paid for, and have no owner yet.
fn set_aside(memory: &Memory) -> u64 {
    if memory.is_run() {
        memory.length_pages.get() - u64::from(memory.resident.get())
    } else {
        0
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
    for id in k.memories.iter_used() {
        let pages = set_aside(&k.memories[id]);
        if let Some(quota) = k.memories[id].header.quota.get().filter(|_| pages > 0) {
            used += pages as u32;
            *charged.entry(quota.raw()).or_default() += pages;
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
