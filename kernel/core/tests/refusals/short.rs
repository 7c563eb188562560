//! Calls that come when a table, an account or the memory is full, or with
//! addresses that are nobody's.

use crate::scene::{Scene, BASE, FRESH, NAME, NOWHERE, RW, TAG, WIDE};
use abi::call::Call;
use abi::Error::{self, BadAddress, OutOfMemory, OutOfQuota, TableFull};
use abi::{Handle, Rights};

const SELF_SPACE: u64 = Handle::SELF_SPACE.word();
const SELF_PROCESS: u64 = Handle::SELF_PROCESS.word();
const LENGTH: u64 = NAME.len() as u64;
const PAGE: u64 = 4096;

/// A call that succeeds, made for the nth time, and what it answers when there is no room.
type Row = (Call, fn(&Scene, u64) -> [u64; 6], &'static [Error]);

/// The process's id.
fn id(s: &Scene) -> u64 {
    s.d.kernel.processes[s.d.process].header.object_id.get()
}

/// Binds a name that was not bound before.
fn another_name(s: &Scene, n: u64) -> [u64; 6] {
    let letters = [n / 676, n / 26, n].map(|digit| b'a' + (digit % 26) as u8);
    s.d.poke(128, &letters);
    [s.namespace, BASE + 128, 3, s.session, 0, 0]
}

fn all() -> u64 {
    u64::from(Rights::all().bits())
}

const ROWS: &[Row] = &[
    (Call::Derive, |s, _| [s.memory, all(), 0, 0, 0, 0], &[TableFull, OutOfQuota, OutOfMemory]),
    (Call::QuotaSplit, |s, _| [s.quota, 1, 0, 0, 0, 0], &[TableFull, OutOfQuota, OutOfMemory]),
    (Call::EndpointCreate, |s, _| [s.quota, 0, 0, 0, 0, 0], &[TableFull, OutOfQuota, OutOfMemory]),
    (Call::SessionCreate, |s, n| [s.endpoint, n + 2, 0, 0, 0, 0], &[TableFull, OutOfQuota, OutOfMemory]),
    (Call::ReplyCreate, |s, _| [s.quota, 0, 0, 0, 0, 0], &[TableFull, OutOfQuota, OutOfMemory]),
    (Call::NotificationCreate, |s, _| [s.quota, 0, 0, 0, 0, 0], &[TableFull, OutOfQuota, OutOfMemory]),
    (Call::NamespaceCreate, |s, _| [s.quota, 0, 0, 0, 0, 0], &[TableFull, OutOfQuota, OutOfMemory]),
    (Call::MemoryCreate, |s, _| [s.quota, 1, 0, 0, 0, 0], &[TableFull, OutOfQuota, OutOfMemory]),
    (Call::MemoryClone, |s, _| [s.memory, s.quota, 0, 1, 0, 0], &[TableFull, OutOfQuota, OutOfMemory]),
    (Call::PagerCreate, |s, n| [s.endpoint, s.quota, n, 1, 0, 0], &[TableFull, OutOfQuota, OutOfMemory]),
    (Call::ProcessCreate, |s, _| [s.quota, BASE, LENGTH, 1, 0, 0], &[TableFull, OutOfQuota, OutOfMemory]),
    (Call::ProcessGrant, |s, _| [SELF_PROCESS, s.memory, all(), 0, 0, 0], &[TableFull, OutOfQuota, OutOfMemory]),
    (Call::ThreadCreate, |_, _| [SELF_PROCESS, BASE, BASE, 0, BASE, 1], &[TableFull, OutOfQuota, OutOfMemory]),
    (Call::ProcessQuota, |_, _| [SELF_PROCESS, 0, 0, 0, 0, 0], &[TableFull, OutOfQuota, OutOfMemory]),
    (Call::NamespaceSession, |s, _| [s.namespace, BASE, LENGTH, 0, 0, 0], &[TableFull, OutOfQuota, OutOfMemory]),
    (Call::DomainCreate, |s, n| [s.domains, s.quota, n + 1, 0, 0, 0], &[TableFull, OutOfQuota, OutOfMemory]),
    (Call::DomainOpen, |s, _| [s.domains, TAG, 0, 0, 0, 0], &[TableFull, OutOfQuota, OutOfMemory]),
    (Call::InterruptAllocate, |s, _| [s.interrupts, u64::MAX, 0, 0, 0, 0], &[TableFull, OutOfQuota, OutOfMemory]),
    (Call::ProcessNamespace, |s, _| [s.child, 0, 0, 0, 0, 0], &[TableFull, OutOfQuota, OutOfMemory]),
    (Call::QuotaOpen, |s, _| [s.quota, id(s), 0, 0, 0, 0], &[TableFull, OutOfQuota, OutOfMemory]),
    (Call::NamespaceBind, another_name, &[TableFull, OutOfMemory]),
    (Call::DomainPin, |s, _| [s.domain, s.memory, 0, PAGE, 0, 0], &[TableFull, OutOfQuota, OutOfMemory]),
    (Call::SpaceUnmap, |_, n| [SELF_SPACE, WIDE + (2 * n + 1) * PAGE, PAGE, 0, 0, 0], &[OutOfQuota, OutOfMemory]),
    (Call::SpaceProtect, |_, n| [SELF_SPACE, WIDE + (2 * n + 1) * PAGE, PAGE, 1, 0, 0], &[OutOfQuota, OutOfMemory]),
    (Call::SpaceClone, |s, _| [SELF_SPACE, s.child_space, 0, 0, 0, 0], &[OutOfQuota, OutOfMemory]),
    (Call::TableClone, |s, _| [s.child, 0, 0, 0, 0, 0], &[OutOfMemory]),
    (Call::ProcessWatch, |s, n| [SELF_PROCESS, s.notification, n + 1, 0, 0, 0], &[OutOfQuota, OutOfMemory]),
    (Call::SpaceMap, |s, _| [SELF_SPACE, s.memory, 0, 0, PAGE, RW], &[OutOfQuota, OutOfMemory]),
    (Call::MemoryRead, |s, _| [s.memory, 0, FRESH, 4, 0, 0], &[OutOfQuota, OutOfMemory]),
    (Call::MemoryWrite, |s, _| [s.memory, PAGE, BASE, 4, 0, 0], &[OutOfQuota, OutOfMemory]),
    (Call::LogWrite, |s, _| [s.log, FRESH, 4, 0, 0, 0], &[OutOfQuota, OutOfMemory]),
    (Call::LogRead, |s, _| [s.log, 0, FRESH, 64, 0, 0], &[OutOfQuota, OutOfMemory]),
    (Call::SystemInfo, |s, _| [s.system, 1, FRESH, 4096, 0, 0], &[OutOfQuota, OutOfMemory]),
    (Call::QuotaUsage, |s, _| [s.quota, FRESH, 4096, 0, 0, 0], &[OutOfQuota, OutOfMemory]),
    (Call::ProcessInfo, |_, _| [SELF_PROCESS, FRESH, 0, 0, 0, 0], &[OutOfQuota, OutOfMemory]),
    (Call::ProcessCapability, |_, _| [SELF_PROCESS, 0, FRESH, 0, 0, 0], &[OutOfQuota, OutOfMemory]),
    (Call::NamespaceEntry, |s, _| [s.namespace, 0, FRESH, 32, 0, 0], &[OutOfQuota, OutOfMemory]),
    (Call::PortReadBytes, |s, _| [s.ports, 0x60, FRESH, 4, 0, 0], &[OutOfQuota, OutOfMemory]),
    (Call::PortWriteBytes, |s, _| [s.ports, 0x60, FRESH, 4, 0, 0], &[OutOfQuota, OutOfMemory]),
    (Call::PagerSupply, |s, n| [s.paged, n, 1, s.memory, 1, 1], &[OutOfQuota, OutOfMemory]),
];

/// Makes a call until it fails; the error, if it comes.
fn until_refused(s: &mut Scene, row: &Row) -> Option<Error> {
    let (call, args, _) = row;
    for n in 1..4000 {
        let args = args(s, n);
        if let Err(error) = s.d.call(*call, &args) {
            return Some(error);
        }
    }
    None
}

#[test]
fn every_row_of_the_table_succeeds_while_there_is_room() {
    let mut wrong = Vec::new();
    for (call, args, _) in ROWS {
        let mut s = Scene::new();
        s.map_wide();
        let args = args(&s, 0);
        if let Err(error) = s.d.call(*call, &args) {
            wrong.push((*call, error));
        }
    }
    assert_eq!(wrong, []);
}

#[test]
fn without_room_in_the_table_account_or_memory_each_call_says_which() {
    let mut wrong = Vec::new();
    for row in ROWS {
        for error in row.2 {
            let mut s = Scene::new();
            s.map_wide();
            match error {
                TableFull => s.fill_table(),
                OutOfQuota => s.fill_quota(),
                _ => s.take_frames(),
            }
            let answer = until_refused(&mut s, row);
            if answer != Some(*error) {
                wrong.push((row.0, *error, answer));
            }
        }
    }
    assert_eq!(wrong, []);
}

#[test]
fn an_address_where_nothing_is_mapped_is_refused() {
    let mut s = Scene::new();
    let rows: &[(Call, [u64; 6])] = &[
        (Call::MemoryRead, [s.memory, 0, NOWHERE, 4, 0, 0]),
        (Call::MemoryWrite, [s.memory, 0, NOWHERE, 4, 0, 0]),
        (Call::LogWrite, [s.log, NOWHERE, 4, 0, 0, 0]),
        (Call::LogRead, [s.log, 0, NOWHERE, 64, 0, 0]),
        (Call::SystemInfo, [s.system, 1, NOWHERE, 4096, 0, 0]),
        (Call::QuotaUsage, [s.quota, NOWHERE, 4096, 0, 0, 0]),
        (Call::ProcessInfo, [SELF_PROCESS, NOWHERE, 0, 0, 0, 0]),
        (Call::ProcessCapability, [SELF_PROCESS, 0, NOWHERE, 0, 0, 0]),
        (Call::NamespaceEntry, [s.namespace, 0, NOWHERE, 32, 0, 0]),
        (Call::NamespaceSession, [s.namespace, NOWHERE, 4, 0, 0, 0]),
        (Call::PortReadBytes, [s.ports, 0x60, NOWHERE, 4, 0, 0]),
        (Call::PortWriteBytes, [s.ports, 0x60, NOWHERE, 4, 0, 0]),
    ];
    for (call, args) in rows {
        s.refused(*call, args, BadAddress);
    }
}

#[test]
fn names_that_are_none_are_refused() {
    let mut s = Scene::new();
    s.d.poke(64, b"a/b");
    let (namespace, far) = (s.namespace, 33);
    s.refused(Call::NamespaceSession, &[namespace, BASE, far, 0, 0, 0], Error::NameTooLong);
    s.refused(Call::NamespaceSession, &[namespace, BASE + 64, 3, 0, 0, 0], Error::InvalidName);
    s.refused(Call::NamespaceSession, &[namespace, BASE, 0, 0, 0, 0], Error::InvalidName);
}
