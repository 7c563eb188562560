//! Namespaces.

use super::{Header, ListLinks, Quota, Session};
use crate::fields;
use crate::{Field, Link};

fields! {
/// Scheme names, each bound to a root session. References: its capabilities and its processes.
#[repr(C, align(128))]
pub struct Namespace {
    /// Common to all objects.
    pub header: Header,
    /// The first name (`Name::next`).
    pub first: Field<Link<Name>>,
    /// The next one that the reaper ends.
    pub next_reap: Field<u32>,
    /// How many they are.
    pub count: Field<u32>,
}

/// One name of a namespace: at most 32 bytes.
#[repr(C, align(128))]
pub struct Name {
    /// The name, zero-padded, little-endian words.
    pub name: [Field<u64>; 4],
    /// The root session (a reference).
    pub session: Field<Link<Session>>,
    /// The next name.
    pub next: Field<Link<Name>>,
    /// Who pays.
    pub quota: Field<Link<Quota>>,
    /// The capability it was bound with (raw id; 0: none, or it ended): its place there is `in_via`.
    pub via: Field<u32>,
    /// Whether it came to that capability from a child that was closed.
    pub via_inherited: Field<bool>,
    /// Its place in `Cap::names`.
    pub in_via: ListLinks,
    /// The namespace it is in.
    pub namespace: Field<Link<Namespace>>,
    /// The rights that the binding capability had.
    pub rights: Field<u16>,
}
}
