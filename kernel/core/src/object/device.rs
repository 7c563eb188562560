//! Devices: what drivers and the bus manager hold.

use super::{Header, Lease, ListHead, ListLinks, Memory, Notification, TreeLinks};
use crate::fields;
use crate::{Field, Link};

fields! {
/// A device's view of memory. References: its capabilities and pins. Identity without an IOMMU.
#[repr(C, align(128))]
pub struct DmaDomain {
    /// Common to all objects.
    pub header: Header,
    /// Its pins (`Pin::in_domain`).
    pub pins: ListHead,
    /// Pins whose holder died: they hold their frames until the device is stopped.
    pub quarantined: Field<u32>,
    /// 1 for the root, from which others are made.
    pub is_root: Field<u32>,
    /// Its place in the tree of domains with a tag, which is the key.
    pub by_tag: TreeLinks,
}

/// Memory held in place for a device. References: its capability. When its holder dies it stays, in quarantine.
#[repr(C, align(128))]
pub struct Pin {
    /// Common to all objects.
    pub header: Header,
    /// The domain (a reference).
    pub domain: Field<Link<DmaDomain>>,
    /// The memory object (a reference), or none for a lease.
    pub memory: Field<Link<Memory>>,
    /// The lease, or none for a memory object.
    pub lease: Field<Link<Lease>>,
    /// First byte, in the object or the lease.
    pub offset: Field<u64>,
    /// Bytes.
    pub length: Field<u64>,
    /// For a lease: table frame that lists the frames held (512 words: count, then frame numbers).
    pub held: Field<u32>,
    /// Whether it is in quarantine.
    pub quarantined: Field<bool>,
    /// Its place in `DmaDomain::pins`.
    pub in_domain: ListLinks,
}

/// One interrupt, or the root range. References: its capabilities.
#[repr(C, align(128))]
pub struct Interrupt {
    /// Common to all objects.
    pub header: Header,
    /// The interrupt's id (below `Machine::INTERRUPTS`); unused in the root.
    pub number: Field<u32>,
    /// The line (GSI), or `u32::MAX` for a message interrupt.
    pub line: Field<u32>,
    /// The notification to signal (a reference).
    pub notification: Field<Link<Notification>>,
    /// Whether it is the root.
    pub is_root: Field<bool>,
    /// Whether the line is level-triggered: masked at each interrupt until acknowledged.
    pub level: Field<bool>,
    /// The bits to set.
    pub bits: Field<u64>,
}

/// A range of I/O ports.
#[repr(C, align(128))]
pub struct IoPorts {
    /// Common to all objects.
    pub header: Header,
    /// The first port.
    pub first: Field<u32>,
    /// How many.
    pub count: Field<u32>,
}

/// A physical range of device registers.
#[repr(C, align(128))]
pub struct DeviceMemory {
    /// Common to all objects.
    pub header: Header,
    /// The first physical page.
    pub first_page: Field<u64>,
    /// Pages.
    pub pages: Field<u64>,
}
}
