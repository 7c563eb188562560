//! The kernel's objects: data only, one file a noun.
//!
//! What is done with them stands in `cap`, `ipc`, `mm`, `sched`, `irq`. Fields are public to the crate
//! so that a plan can read several objects at once. An object ends when its header's references
//! reach 0; who holds references stands at each field.

mod capability;
mod device;
mod endpoint;
mod event;
mod frame;
mod lease;
mod memory;
mod namespace;
mod notification;
mod process;
mod quota;
mod space;
mod thread;

pub use crate::arena::PageSlot;
pub use crate::sched::Cpu;
pub use capability::Cap;
pub use device::{DeviceMemory, DmaDomain, Interrupt, IoPorts, Pin};
pub use endpoint::{Endpoint, Reply, ReplyState, Session};
pub use event::{EventQueue, Interest};
pub use frame::FrameInfo;
pub use lease::Lease;
pub use memory::Memory;
pub use namespace::{Name, Namespace};
pub use notification::Notification;
pub use process::{Process, ProcessState, Watch};
pub use quota::Quota;
pub use space::{Mapping, MappingKind, Space};
pub use thread::{Parked, Registers, Thread, ThreadState};

use crate::fields;
use crate::{Field, Id, InKernel, Kernel, Link, Machine};
use abi::Kind;

/// What a capability can name.
pub trait Object: InKernel {
    /// Its kind, as its holders know it.
    const CAP_KIND: Kind;
    /// The part that all objects have in common.
    fn header(&self) -> &Header;
    /// Called when the last reference is gone: gives everything back that it holds, then
    /// [`Kernel::free_object`]. Short: what takes long goes through [`crate::reaper`].
    fn end<M: Machine>(kernel: &Kernel<M>, id: Id<Self>);
}

fields! {
/// What every object that a capability can name begins with.
#[repr(C)]
pub struct Header {
    /// The object's number since boot; never reused. 0: the slot is free.
    pub object_id: Field<u64>,
    /// Capability entries and object fields that name it.
    pub references: Field<u32>,
    /// Who pays for it.
    pub quota: Field<Link<Quota>>,
}

/// The links of an intrusive tree (`crate::tree`), keyed by a `u64` that the tree's owner defines.
/// Raw ids (index in the arena of the node's type), 0 for none.
#[repr(C)]
pub struct TreeLinks {
    /// Smaller keys.
    pub left: Field<u32>,
    /// Greater keys.
    pub right: Field<u32>,
    /// The parent, or 0 at the root.
    pub parent: Field<u32>,
    /// Balance information.
    pub level: Field<u32>,
    /// The key; keys are unique in a tree.
    pub key: Field<u64>,
}

/// The links of an intrusive doubly linked list. Raw ids, 0 for none.
#[repr(C)]
pub struct ListLinks {
    /// The next node.
    pub next: Field<u32>,
    /// The previous node.
    pub prev: Field<u32>,
}

/// The ends of an intrusive list.
#[repr(C)]
pub struct ListHead {
    /// The first node, or 0.
    pub first: Field<u32>,
    /// The last node, or 0.
    pub last: Field<u32>,
}
}
