//! What the memory side promises, on the test machine.

mod cow;
mod leases;
mod model;
mod pins;
mod spaces;

use crate::address::VirtAddr;
use crate::id::Id;
use crate::kernel::Kernel;
use crate::machine::{Machine, Translation};
use crate::mm::fault::Access;
use crate::mm::mapping::Backing;
use crate::mm::space::UserRange;
use crate::object::{Lease, Memory, Process, ProcessState, Space};
use crate::test_machine::TestMachine;
use abi::memory::{MemoryFlags, Protection};
use abi::message::LeaseAccess;

pub(super) type TestKernel = Kernel<TestMachine>;

pub(super) const PAGE: u64 = 4096;
pub(super) const R: Protection = Protection::READ;
pub(super) const W: Protection = Protection::WRITE;
pub(super) const X: Protection = Protection::EXECUTE;
pub(super) const RW: Protection = R.union(W);
pub(super) const RX: Protection = R.union(X);
pub(super) const ALL: Protection = RW.union(X);

pub(super) fn kernel() -> TestKernel {
    TestMachine::<0>::kernel(4096)
}

pub(super) fn process(kernel: &TestKernel) -> (Id<Process>, Id<Space>) {
    let process = kernel.process_make(kernel.root_quota(), [0; 4], 100, None).unwrap();
    (process, kernel.processes[process].space.get().unwrap())
}

/// A memory object with one reference, ours.
pub(super) fn memory(kernel: &TestKernel, pages: u64, flags: MemoryFlags) -> Id<Memory> {
    let id = kernel.memory_new(kernel.root_quota(), pages, flags).unwrap();
    kernel.retain(id);
    id
}

/// Maps a whole object somewhere.
pub(super) fn map(kernel: &TestKernel, space: Id<Space>, memory: Id<Memory>, protection: Protection) -> u64 {
    let pages = kernel.memories[memory].length_pages.get();
    kernel.space_enter(space, 0, pages, Backing::Memory(memory, 0), protection, ALL).unwrap()
}

pub(super) fn unmap(kernel: &TestKernel, space: Id<Space>, address: u64, pages: u64) {
    let range = UserRange::pages(address, pages * PAGE).unwrap();
    while !kernel.space_clear(space, range).unwrap() {}
}

pub(super) fn touch(kernel: &TestKernel, space: Id<Space>, address: u64, access: Access) -> abi::Result<Translation> {
    kernel.resolve_fault(space, address, access)?;
    Ok(kernel.machine.translate(kernel.space_root(space), VirtAddr(address)).unwrap())
}

pub(super) fn translated(kernel: &TestKernel, space: Id<Space>, address: u64) -> Option<Translation> {
    kernel.machine.translate(kernel.space_root(space), VirtAddr(address))
}

/// A lease as a call would have made it: ours until `end_lease`.
pub(super) fn lease(
    kernel: &TestKernel,
    space: Id<Space>,
    address: u64,
    length: u64,
    access: LeaseAccess,
) -> Id<Lease> {
    let id = kernel.allocate::<Lease>(kernel.root_quota()).unwrap();
    let lease = &kernel.leases[id];
    kernel.retain(space);
    lease.space.set(Some(space));
    lease.address.set(address);
    lease.length.set(length);
    lease.access.set(access.bits());
    // Its call is one of nobody's: without it, the lease would be over when nothing is held.
    lease.children.set(1);
    id
}

pub(super) fn end_lease(kernel: &TestKernel, id: Id<Lease>) {
    kernel.lease_end_pages(id);
    let space = kernel.leases[id].space.replace(None).unwrap();
    kernel.free(id);
    kernel.release(space);
}

pub(super) fn end(kernel: &mut TestKernel, process: Id<Process>) {
    kernel.process_end(process, ProcessState::Killed, 0);
    kernel.reap();
}

/// No translation of memory leads to a frame without a holder, and no frame is both written and executed.
pub(super) fn check_frames(kernel: &TestKernel) {
    let mut seen: std::collections::BTreeMap<u64, Protection> = std::collections::BTreeMap::new();
    kernel.machine.check_translations(|_, page, t| {
        if t.device {
            return;
        }
        for n in 0..if t.large { 512 } else { 1 } {
            let frame = t.frame_of(VirtAddr(page + n * PAGE)).unwrap();
            assert!(kernel.frame_info(frame).unwrap().references.get() > 0, "mapped and free: {frame:?}");
            let all = seen.entry(u64::from(frame.0)).or_insert(Protection::empty());
            *all |= t.protection;
            assert!(!all.contains(W | X), "written and executed: {frame:?}");
        }
    });
}
