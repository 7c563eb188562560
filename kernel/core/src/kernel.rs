//! The kernel as one value.

use crate::address::CpuId;
use crate::arena::Arena;
use crate::field::Field;
use crate::id::{Id, Link};
use crate::machine::Machine;
use crate::object::{
    Cap, DeviceMemory, DmaDomain, Endpoint, FrameInfo, Interrupt, IoPorts, Lease, Mapping, Memory, Name, Namespace,
    Notification, Pin, Process, Quota, Reply, Session, Space, Thread, Watch,
};

/// What the machine layer does when a handler returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Run this thread: load its registers and its root (if it is not the one loaded).
    Run(Id<Thread>),
    /// Nothing to run: wait for an interrupt.
    Idle,
}

/// Processors that the core keeps state for.
pub const CPUS: usize = 64;

/// What belongs to one processor.
pub struct Cpu {
    /// The thread on it.
    pub current: Field<Link<Thread>>,
}

/// Everything the kernel knows. Methods are in the modules of the nouns.
pub struct Kernel<M: Machine> {
    /// The hardware.
    pub machine: M,
    /// One entry a processor.
    pub cpus: [Cpu; CPUS],
    /// The last object id given.
    pub last_object_id: Field<u64>,
    /// Info on each frame, by frame number.
    pub frames: crate::mm::frames::Frames,
    /// Run queues and deadlines.
    pub scheduler: crate::sched::Scheduler,
    /// Processes.
    pub processes: Arena<Process>,
    /// Threads.
    pub threads: Arena<Thread>,
    /// Address spaces.
    pub spaces: Arena<Space>,
    /// Memory objects.
    pub memories: Arena<Memory>,
    /// Endpoints.
    pub endpoints: Arena<Endpoint>,
    /// Sessions.
    pub sessions: Arena<Session>,
    /// Replies.
    pub replies: Arena<Reply>,
    /// Notifications.
    pub notifications: Arena<Notification>,
    /// Namespaces.
    pub namespaces: Arena<Namespace>,
    /// Names in namespaces.
    pub names: Arena<Name>,
    /// Accounts.
    pub quotas: Arena<Quota>,
    /// DMA domains.
    pub domains: Arena<DmaDomain>,
    /// Pins.
    pub pins: Arena<Pin>,
    /// Interrupts.
    pub interrupts: Arena<Interrupt>,
    /// Port ranges.
    pub ports: Arena<IoPorts>,
    /// Device register ranges.
    pub device_memories: Arena<DeviceMemory>,
    /// Mappings.
    pub mappings: Arena<Mapping>,
    /// Leases.
    pub leases: Arena<Lease>,
    /// Watches on processes.
    pub watches: Arena<Watch>,
    /// Capability tables: process number p has the entries from p × `Machine::TABLE_ENTRIES` on.
    pub caps: Arena<Cap>,
}

impl<M: Machine> Kernel<M> {
    /// The thread on a processor.
    pub fn current(&self, cpu: CpuId) -> Link<Thread> {
        self.cpus.get(usize::from(cpu.0)).and_then(|c| c.current.get())
    }
    /// Info on a frame of RAM.
    pub fn frame_info(&self, frame: crate::address::FrameNumber) -> Option<&FrameInfo> {
        self.frames.info(frame)
    }
}
