//! Copy-on-write: random loads, stores, clones and unmaps against plain arrays
//! of bytes.

use super::{end, kernel, map, memory, process, unmap, TestKernel, PAGE, R, RW};
use crate::address::FrameNumber;
use crate::id::Id;
use crate::object::{MappingKind, Memory, Process, Space};
use abi::memory::{MemoryFlags, Protection};
use abi::Error;
use std::collections::BTreeMap;

/// Clones in one go, with an interrupt pending at every look.
fn clone(k: &TestKernel, source: Id<Memory>, first: u64, pages: u64) -> Id<Memory> {
    let clone = k.clone_new(source, k.root_quota(), first, pages).unwrap();
    while !k.clone_step(source, clone).unwrap() {}
    k.retain(clone);
    clone
}

/// No translation that allows stores leads to a frame that two objects hold, and sharers are who they say.
fn check(k: &TestKernel) {
    let mut holders: BTreeMap<u32, u32> = BTreeMap::new();
    for id in k.memories.iter_used() {
        for page in 0..k.memories[id].length_pages.get() {
            if let Some(frame) = k.memory_frame(id, page) {
                *holders.entry(frame.0).or_default() += 1;
            }
        }
    }
    for (frame, count) in &holders {
        let sharers = k.frame_info(FrameNumber(*frame)).unwrap().sharers.get();
        assert_eq!(sharers + 1, *count, "frame {frame}");
    }
    for space in k.spaces.iter_used() {
        for (page, to) in k.machine.translations(k.spaces[space].root.get()) {
            let mapping = &k.mappings[k.mapping_at(space, page).expect("mapped")];
            if mapping.kind.get() == MappingKind::Device {
                continue;
            }
            let frame = to.address.frame().unwrap();
            let shared = holders.get(&frame.0).is_some_and(|n| *n > 1);
            assert!(!shared || !to.protection.contains(Protection::WRITE), "{page:#x} is writable through two owners");
            let memory = mapping.memory.get().unwrap();
            if mapping.kind.get() == MappingKind::Memory {
                assert_eq!(k.memory_frame(memory, mapping.page_at(page)), Some(frame), "{page:#x} leads elsewhere");
            }
        }
    }
}

fn read(k: &TestKernel, p: Id<Process>, at: u64) -> u8 {
    let mut byte = [0];
    k.user_read(p, at, &mut byte).unwrap();
    byte[0]
}

#[test]
fn a_clone_is_what_its_source_was_and_both_go_their_own_ways() {
    let mut k = kernel();
    let before = k.frames.free();
    let (p, space) = process(&k);
    let source = memory(&k, 40, MemoryFlags::empty());
    let at = map(&k, space, source, RW);
    for page in 0..40 {
        if page % 3 != 0 {
            k.user_write(p, at + page * PAGE, &[page as u8 + 1]).unwrap();
        }
    }
    let free = k.frames.free();
    let copy = clone(&k, source, 0, 40);
    assert!(free - k.frames.free() <= 3, "no page is copied");
    check(&k);
    let there = map(&k, space, copy, RW);
    for page in 0..40u64 {
        let expected = if page % 3 != 0 { page as u8 + 1 } else { 0 };
        assert_eq!(read(&k, p, there + page * PAGE), expected);
    }
    check(&k);
    // A store on either side is seen on that side alone.
    k.user_write(p, at + PAGE, &[100]).unwrap();
    k.user_write(p, there + 2 * PAGE, &[101]).unwrap();
    check(&k);
    assert_eq!((read(&k, p, at + PAGE), read(&k, p, there + PAGE)), (100, 2));
    assert_eq!((read(&k, p, at + 2 * PAGE), read(&k, p, there + 2 * PAGE)), (3, 101));
    // The last one who has a frame writes it where it is.
    let frame = k.memory_frame(source, 1);
    k.user_write(p, at + PAGE, &[7]).unwrap();
    assert_eq!(k.memory_frame(source, 1), frame);
    k.release(copy);
    unmap(&k, space, there, 40);
    while k.reap_pending() {
        k.reap();
    }
    let frame = k.memory_frame(source, 4);
    k.user_write(p, at + 4 * PAGE, &[9]).unwrap();
    assert_eq!(k.memory_frame(source, 4), frame, "nobody shares it any more");
    check(&k);
    k.release(source);
    end(&mut k, p);
    assert_eq!(k.frames.free(), before);
}

#[test]
fn what_others_write_without_asking_is_copied_at_once() {
    let mut k = kernel();
    let before = k.frames.free();
    let (p, space) = process(&k);
    let source = memory(&k, 4, MemoryFlags::empty());
    let at = map(&k, space, source, RW);
    k.user_write(p, at, &[1]).unwrap();
    k.user_write(p, at + PAGE, &[2]).unwrap();
    let frame = k.memory_frame(source, 1).unwrap();
    k.frame_written(frame, true);
    let copy = clone(&k, source, 0, 4);
    assert_eq!(k.memory_frame(copy, 0), k.memory_frame(source, 0), "shared");
    assert_ne!(k.memory_frame(copy, 1), Some(frame), "copied");
    k.frame_written(frame, false);
    let run = memory(&k, 4, MemoryFlags::CONTIGUOUS);
    let of_run = clone(&k, run, 1, 2);
    assert_ne!(k.memory_frame(of_run, 0), k.memory_frame(run, 1));
    check(&k);
    assert_eq!(k.clone_new(source, k.root_quota(), 2, 3), Err(Error::BadArgument));
    for id in [copy, of_run, run, source] {
        k.release(id);
    }
    end(&mut k, p);
    assert_eq!(k.frames.free(), before);
}

/// A small generator, so that a seed tells the whole run.
struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % n
    }
}

#[test]
fn clones_of_clones_are_arrays_of_bytes() {
    const PAGES: u64 = 6;
    struct Object {
        id: Id<Memory>,
        at: u64,
        writable: bool,
        bytes: Vec<u8>,
    }
    for seed in 1..=20 {
        let mut k = kernel();
        let before = k.frames.free();
        let spaces: Vec<(Id<Process>, Id<Space>)> = (0..2).map(|_| process(&k)).collect();
        let mut random = Random(0x9e37_79b9_7f4a_7c15u64.wrapping_mul(seed));
        let first = memory(&k, PAGES, MemoryFlags::empty());
        let at = map(&k, spaces[0].1, first, RW);
        let mut objects = vec![(0, Object { id: first, at, writable: true, bytes: vec![0; PAGES as usize] })];
        for _ in 0..600 {
            k.machine.interrupt_every(random.below(3) as u32);
            let n = random.below(objects.len() as u64) as usize;
            let page = random.below(PAGES);
            let count = objects.len();
            let (owner, object) = &mut objects[n];
            let (p, space) = spaces[*owner];
            match random.below(10) {
                0..4 if object.writable => {
                    let byte = random.below(256) as u8;
                    k.user_write(p, object.at + page * PAGE + 5, &[byte]).unwrap();
                    object.bytes[page as usize] = byte;
                }
                0..7 => {
                    assert_eq!(read(&k, p, object.at + page * PAGE + 5), object.bytes[page as usize], "seed {seed}")
                }
                7 if count < 8 => {
                    let (first, pages) = (random.below(PAGES / 2), PAGES / 2);
                    let whole = random.below(2) == 0;
                    let (first, pages) = if whole { (0, PAGES) } else { (first, pages) };
                    let source = object.id;
                    let mut bytes: Vec<u8> = object.bytes[first as usize..(first + pages) as usize].to_vec();
                    bytes.resize(PAGES as usize, 0);
                    let id = clone(&k, source, first, pages);
                    let owner = random.below(2) as usize;
                    let writable = random.below(4) != 0;
                    let at = k
                        .space_enter(
                            spaces[owner].1,
                            0,
                            pages,
                            crate::mm::mapping::Backing::Memory(id, 0),
                            if writable { RW } else { R },
                            RW,
                        )
                        .unwrap();
                    if whole {
                        objects.push((owner, Object { id, at, writable, bytes }));
                    } else {
                        for page in 0..pages {
                            let byte = read(&k, spaces[owner].0, at + page * PAGE + 5);
                            assert_eq!(byte, bytes[page as usize]);
                        }
                        unmap(&k, spaces[owner].1, at, pages);
                        k.release(id);
                    }
                }
                8 if count > 1 => {
                    unmap(&k, space, object.at, PAGES);
                    k.release(object.id);
                    objects.remove(n);
                }
                _ => {
                    let writable = object.writable;
                    let range = crate::mm::space::UserRange::pages(object.at, PAGES * PAGE).unwrap();
                    k.space_change(space, range, if writable { R } else { RW }).unwrap();
                    object.writable = !writable;
                }
            }
            k.machine.interrupt_every(0);
            while k.reap_pending() {
                k.reap();
            }
            check(&k);
        }
        for (owner, object) in &objects {
            unmap(&k, spaces[*owner].1, object.at, PAGES);
            k.release(object.id);
        }
        for (process, _) in spaces {
            end(&mut k, process);
        }
        assert_eq!(k.frames.free(), before, "seed {seed}");
    }
}
