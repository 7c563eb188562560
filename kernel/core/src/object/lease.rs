//! A range of memory lent for the length of a call.

use super::{ListHead, Quota, Reply, Space};
use crate::fields;
use crate::{Field, Link};

fields! {
/// One lease. It ends with its call; while something below it holds (`children`, `pins`), the call doesn't end.
///
/// A passed-on lease (`parent`) names the same space as its root, with the range narrowed, so that
/// an operation on it never walks the chain; ending still goes from the leaves up.
#[repr(C, align(128))]
pub struct Lease {
    /// The reply object of the call it was lent with.
    pub reply: Field<Link<Reply>>,
    /// The lender's address space at the root of the chain (a reference).
    pub space: Field<Link<Space>>,
    /// First byte, in that space.
    pub address: Field<u64>,
    /// Bytes.
    pub length: Field<u64>,
    /// `abi::message::LeaseAccess` bits.
    pub access: Field<u32>,
    /// The lease it is a part of, when it was passed on.
    pub parent: Field<Link<Lease>>,
    /// Leases made of it by passing on.
    pub children: Field<u32>,
    /// How many of these hold frames, themselves or below.
    pub children_holding: Field<u32>,
    /// Holds of its own: mappings and pins (`Kernel::lease_hold`).
    pub holds: Field<u32>,
    /// Pins on it (a quarantined one counts).
    pub pins: Field<u32>,
    /// Mappings of it in the server's space (`Mapping::in_lease`).
    pub mappings: ListHead,
    /// Withdrawn: the caller is gone or was cancelled; copies are refused, held frames stay.
    pub withdrawn: Field<bool>,
    /// How many leases are above it.
    pub depth: Field<u8>,
    /// Who pays for it (a reference).
    pub quota: Field<Link<Quota>>,
}
}
