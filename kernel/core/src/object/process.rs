//! A process: a capability table, an address space, a namespace, a quota.

use super::{Header, ListHead, ListLinks, Namespace, Notification, Quota, Space, TreeLinks};
use crate::field_enum;
use crate::fields;
use crate::{Field, Link};

field_enum! {
    /// Where a process is in its life.
    pub enum ProcessState {
        /// It has threads, or may still be given some.
        Running = 0,
        /// It ended by `process_exit` or its last thread's end.
        Exited = 1,
        /// Someone with the right ended it.
        Killed = 2,
        /// A fault ended it.
        Faulted = 3,
    }
}

fields! {
/// A process. References: its capabilities, and each of its threads.
///
/// Once it is not `Running` its threads are gone; `teardown` counts the bounded steps that give
/// back the rest (table, replies, space, namespace, quota), after which only the header and the
/// exit information remain until the last capability goes.
#[repr(C, align(512))]
pub struct Process {
    /// Common to all objects.
    pub header: Header,
    /// Its place in the tree of all processes, keyed by object id.
    pub all: TreeLinks,
    /// Where it is in its life.
    pub state: Field<ProcessState>,
    /// The highest priority its threads may have.
    pub priority_limit: Field<u8>,
    /// Exit code, or the vector of the fault.
    pub exit_code: Field<u32>,
    /// Its address space (a reference).
    pub space: Field<Link<Space>>,
    /// Its namespace (a reference).
    pub namespace: Field<Link<Namespace>>,
    /// What it is charged to (a reference); its own objects go to whatever quota they name.
    pub quota: Field<Link<Quota>>,
    /// Its place among the processes of its quota.
    pub in_quota: ListLinks,
    /// Its threads (`Thread::in_process`).
    pub threads: ListHead,
    /// How many they are.
    pub thread_count: Field<u32>,
    /// The reply objects made by it or passed to it (`Reply::in_process`).
    pub replies: ListHead,
    /// Backed pages of its capability table.
    pub table_pages: Field<u32>,
    /// First free entry of its table (index in the capability arena), 0 for none.
    pub free_cap: Field<u32>,
    /// Entries in use.
    pub cap_count: Field<u32>,
    /// Who wants to know of its end (`Watch::next`).
    pub watches: Field<Link<Watch>>,
    /// The next step of its teardown.
    pub teardown: Field<u32>,
    /// The next one that the reaper ends.
    pub next_reap: Field<u32>,
    /// Nanoseconds its threads ran, those that ended included.
    pub run_time_ns: Field<u64>,
    /// What the security policy knows it as.
    pub label: Field<u32>,
    /// The handler of foreign call numbers, or 0.
    pub foreign_handler: Field<u64>,
    /// The name for logs: 32 bytes, zero-padded, little-endian.
    pub name: [Field<u64>; 4],
}

/// Somebody who wants to know of a process's end.
#[repr(C, align(128))]
pub struct Watch {
    /// The process.
    pub process: Field<Link<Process>>,
    /// The notification to signal (a reference).
    pub notification: Field<Link<Notification>>,
    /// The bits to set.
    pub bits: Field<u64>,
    /// The next watch of the process.
    pub next: Field<Link<Watch>>,
    /// Who pays.
    pub quota: Field<Link<Quota>>,
}
}
