//! Two address spaces against a model: a map from page to what it leads to.
//!
//! Random maps, unmaps, protects, accesses and copies, with interrupts pending now and then; after each step every
//! translation must be one that the model knows, and reads must see what was written last, through whatever alias.

use super::{check_frames, kernel, memory, process, unmap, TestKernel, ALL, PAGE, RW, RX, X};
use crate::address::VirtAddr;
use crate::id::Id;
use crate::mm::fault::Access;
use crate::mm::mapping::Backing;
use crate::mm::space::UserRange;
use crate::object::{Memory, Process, Space};
use abi::memory::{MemoryFlags, Protection, LARGE_PAGE_SIZE};
use abi::Error;
use proptest::prelude::{any, proptest, ProptestConfig, Strategy};
use std::collections::BTreeMap;

/// The window of pages that fixed addresses fall into: it spans a border of large pages.
const WINDOW: u64 = 0x4000_0000 - 32 * PAGE;
const WINDOW_PAGES: u64 = 1200;

#[derive(Clone, Copy, Debug, PartialEq)]
struct Page {
    object: usize,
    page: u64,
    protection: Protection,
    limit: Protection,
}

#[derive(Clone, Debug)]
struct Step {
    what: u8,
    space: usize,
    object: usize,
    at: u64,
    offset: u64,
    pages: u64,
    protection: u8,
    limit: u8,
    interrupts: u32,
}

fn step() -> impl Strategy<Value = Step> {
    let place = (0..2usize, 0..4usize, 0..WINDOW_PAGES, 0..40u64, 1..40u64);
    (0..10u8, place, 0..8u8, 0..3u8, 0..4u32, any::<bool>()).prop_map(
        |(what, (space, object, at, offset, pages), protection, limit, interrupts, huge)| {
            // Now and then a large one, aligned so that large pages can be used.
            let (at, offset, pages) = if huge && what < 4 { (32, 0, 600 + pages) } else { (at, offset, pages) };
            Step { what, space, object, at, offset, pages, protection, limit, interrupts }
        },
    )
}

struct World {
    kernel: TestKernel,
    spaces: [(Id<Process>, Id<Space>); 2],
    objects: Vec<(Option<Id<Memory>>, u64)>,
    model: [BTreeMap<u64, Page>; 2],
    contents: BTreeMap<(usize, u64), u8>,
}

const DEVICE: usize = 3;
const DEVICE_PAGE: u64 = 0xc_0000;

impl World {
    fn new() -> World {
        let kernel = kernel();
        let spaces = [process(&kernel), process(&kernel)];
        let shapes = [(80, MemoryFlags::empty()), (1, MemoryFlags::empty()), (700, MemoryFlags::CONTIGUOUS)];
        let mut objects: Vec<_> = shapes.iter().map(|&(n, flags)| (Some(memory(&kernel, n, flags)), n)).collect();
        objects.push((None, 1 << 20));
        World { kernel, spaces, objects, model: Default::default(), contents: BTreeMap::new() }
    }

    /// Whether another page of the model has the other of writable and executable.
    fn alias(&self, object: usize, page: u64, to: Protection, own: (usize, u64)) -> bool {
        let against = match (to.contains(Protection::WRITE), to.contains(X)) {
            (true, _) => X,
            (_, true) => Protection::WRITE,
            _ => return false,
        };
        object != DEVICE
            && self.model.iter().enumerate().any(|(s, model)| {
                model.iter().any(|(&a, p)| {
                    (s, a) != own && (p.object, p.page) == (object, page) && p.protection.intersects(against)
                })
            })
    }

    fn map(&mut self, s: &Step) {
        let (object, length) = self.objects[s.object];
        let offset = s.offset.min(length - 1);
        let pages = s.pages.min(length - offset);
        let at = if s.what == 0 { 0 } else { WINDOW + s.at * PAGE };
        let protection = Protection::from_bits_truncate(s.protection);
        let mut limit = [ALL, RW, RX][usize::from(s.limit)];
        if s.object == DEVICE {
            limit.remove(X);
        }
        let backing = match object {
            Some(id) => Backing::Memory(id, offset),
            None => Backing::Device(DEVICE_PAGE + offset),
        };
        let space = self.spaces[s.space].1;
        let got = self.kernel.space_enter(space, at, pages, backing, protection, limit);
        let taken = at != 0 && self.model[s.space].range(at..at + pages * PAGE).next().is_some();
        let expected = if protection.contains(Protection::WRITE | X) {
            Err(Error::BadArgument)
        } else if !limit.contains(protection) {
            Err(Error::NoRight)
        } else if (0..pages).any(|n| self.alias(s.object, offset + n, protection, (9, 0))) {
            Err(Error::Busy)
        } else if taken {
            Err(Error::Exists)
        } else {
            Ok(())
        };
        assert_eq!(got.map(|_| ()), expected, "{s:?}");
        if let Ok(start) = got {
            assert!(at == 0 || start == at);
            for n in 0..pages {
                let page = Page { object: s.object, page: offset + n, protection, limit };
                assert_eq!(self.model[s.space].insert(start + n * PAGE, page), None, "room was free");
            }
        }
    }

    fn range(&self, s: &Step) -> UserRange {
        // Half of the time where something is.
        let at = match self.model[s.space].keys().nth(s.at as usize % (self.model[s.space].len() + 1)) {
            Some(&at) if s.offset.is_multiple_of(2) => at,
            _ => WINDOW + s.at * PAGE,
        };
        UserRange::pages(at, s.pages * PAGE).unwrap()
    }

    fn protect(&mut self, s: &Step) {
        let range = self.range(s);
        let to = Protection::from_bits_truncate(s.protection);
        let got = self.kernel.space_change(self.spaces[s.space].1, range, to);
        let addresses: Vec<u64> = (range.start..range.end).step_by(PAGE as usize).collect();
        let mut why = Vec::new();
        let mut sound = addresses.len();
        for (n, at) in addresses.iter().enumerate() {
            let before = why.len();
            match self.model[s.space].get(at) {
                None => why.push(Error::BadAddress),
                Some(p) if !p.limit.contains(to) => why.push(Error::NoRight),
                Some(p) if self.alias(p.object, p.page, to, (s.space, *at)) => why.push(Error::Busy),
                Some(_) => {}
            }
            if before == 0 && !why.is_empty() {
                sound = n;
            }
        }
        if to.contains(Protection::WRITE | X) {
            why = vec![Error::BadArgument];
            sound = 0;
        }
        match got {
            Ok(()) => {
                assert!(why.is_empty(), "{s:?} {why:?}");
                for at in addresses {
                    self.model[s.space].get_mut(&at).unwrap().protection = to;
                }
            }
            Err(error) => {
                assert!(why.contains(&error), "{s:?} {error:?} {why:?}");
                self.changed_in_part(s, &addresses, sound, to);
            }
        }
    }

    /// A change that met an obstacle behind `sound` pages has changed a front part of these and nothing else.
    fn changed_in_part(&mut self, s: &Step, addresses: &[u64], sound: usize, to: Protection) {
        let space = self.spaces[s.space].1;
        let now = |at: &u64| self.kernel.mapping_at(space, *at).map(|id| self.kernel.mappings[id].protection());
        let model = &mut self.model[s.space];
        let changed = |n: usize, at: &u64| n < sound && now(at) == Some(to);
        let done = addresses.iter().enumerate().take_while(|(n, at)| changed(*n, at)).count();
        for at in &addresses[..done] {
            model.get_mut(at).unwrap().protection = to;
        }
        for at in &addresses[done..] {
            assert_eq!(now(at), model.get(at).map(|page| page.protection), "{s:?} {at:#x}");
        }
    }

    fn access(&mut self, s: &Step) {
        let at = self.range(s).start + s.offset;
        let page = self.model[s.space].get(&(at & !(PAGE - 1))).copied();
        let (process, space) = self.spaces[s.space];
        let access = [Access::Read, Access::Write, Access::Execute][usize::from(s.limit)];
        let allowed = page.is_some_and(|p| access.allowed(p.protection));
        assert_eq!(self.kernel.resolve_fault(space, at, access).is_ok(), allowed, "{s:?}");
        let Some(p) = page else { return };
        if p.object == DEVICE {
            assert!(self.kernel.user_read(process, at, &mut [0]).is_err());
            return;
        }
        let key = (p.object, p.page * PAGE + s.offset);
        let mut byte = [0];
        match self.kernel.user_read(process, at, &mut byte) {
            Ok(()) => assert_eq!(byte[0], self.contents.get(&key).copied().unwrap_or(0), "{s:?}"),
            Err(_) => assert!(p.protection.is_empty()),
        }
        let wrote = self.kernel.user_write(process, at, &[s.protection + 1]);
        assert_eq!(wrote.is_ok(), p.protection.contains(Protection::WRITE));
        if wrote.is_ok() {
            self.contents.insert(key, s.protection + 1);
        }
    }

    fn run(&mut self, s: &Step) {
        self.kernel.machine.interrupt_every(s.interrupts);
        match s.what {
            0..=3 => self.map(s),
            4 => {
                let range = self.range(s);
                unmap(&self.kernel, self.spaces[s.space].1, range.start, s.pages);
                self.model[s.space].retain(|at, _| !(range.start..range.end).contains(at));
            }
            5 | 6 => self.protect(s),
            _ => self.access(s),
        }
        self.kernel.machine.interrupt_every(0);
    }

    fn check(&self) {
        for (model, (_, space)) in self.model.iter().zip(self.spaces) {
            let root = self.kernel.space_root(space);
            for page in 0..WINDOW_PAGES + 64 {
                let at = VirtAddr(WINDOW + page * PAGE);
                assert!(!self.kernel.machine.is_stale(root, at), "{at:?} may still be in a TLB");
            }
            for (at, t) in self.kernel.machine.translations(root) {
                for n in 0..if t.large { LARGE_PAGE_SIZE / PAGE } else { 1 } {
                    let at = at + n * PAGE;
                    let page = model.get(&at).unwrap_or_else(|| panic!("{at:#x} leads somewhere and is not mapped"));
                    assert_eq!(t.protection, page.protection, "{at:#x}");
                    let physical = t.frame_of(VirtAddr(at)).unwrap();
                    match self.objects[page.object].0 {
                        Some(id) => assert_eq!(Some(physical), self.kernel.memory_frame(id, page.page)),
                        None => assert_eq!(u64::from(physical.0), DEVICE_PAGE + page.page),
                    }
                }
            }
        }
        check_frames(&self.kernel);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]
    #[test]
    fn spaces_do_what_a_map_of_pages_does(steps in proptest::collection::vec(step(), 1..60)) {
        let mut w = World::new();
        for s in &steps {
            w.run(s);
            w.check();
        }
        // Everything taken apart again: nothing leads anywhere, and every count is back.
        for (_, space) in w.spaces {
            unmap(&w.kernel, space, 0x1_0000, (abi::memory::USER_END - 0x1_0000) / PAGE);
            assert_eq!(w.kernel.spaces[space].mapping_count.get(), 0);
            assert!(w.kernel.machine.translations(w.kernel.space_root(space)).is_empty());
        }
        for id in w.objects.iter().filter_map(|o| o.0) {
            let m = &w.kernel.memories[id];
            assert_eq!((m.writable.get(), m.executable.get(), m.header.references.get()), (0, 0, 1));
        }
    }
}
