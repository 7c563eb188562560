//! This program as the first process: what is tried with init's capabilities.
//!
//! Where it finds them in its table it was started in init's place, by a boot that is made for that (`ci/src/suites/roots.rs`), and
//! there is nobody but it: it runs the tests here, tells of them in the log, and switches the machine off.

use crate::objects::{
    charged, charged_to_maker, child, closed, full, full_of_maker, granted, revoked, right, tests, Sort,
};
use crate::tap::{self, Out, Test};
use crate::{device_memory, domain, interrupt, policy, ports, system};
use abi::boot::InitHandle;
use abi::call::Call;
use abi::memory::{MemoryFlags, Protection, PAGE_SIZE};
use abi::{Handle, Kind, Rights};
use alloc::vec::Vec;
use scheme::rt::calls;

/// One of init's capabilities.
pub const fn root(which: InitHandle) -> Handle {
    which.handle()
}

/// Whether they are ours: nobody else has the one of the system.
pub fn are_ours() -> bool {
    calls::inspect(root(InitHandle::System)).is_ok_and(|(kind, ..)| kind == Kind::System)
}

/// The tests that need them, in the order they are run: what is sealed in the end comes last.
pub fn all() -> Vec<&'static Test> {
    let devices = [ports::TESTS, device_memory::TESTS, interrupt::TESTS, domain::TESTS];
    let subjects = [TESTS].into_iter().chain(devices).chain([system::TESTS, policy::TESTS]);
    subjects.flatten().collect()
}

/// Runs them and switches off; returns where that does not work.
pub fn run() -> u64 {
    let failed = tap::run(&Out::new(), &all());
    if let Err(error) = calls::system_control(root(InitHandle::System), 0, 0) {
        log::error!("the machine can't be switched off: {error}");
    }
    failed
}

/// A port that nothing is at.
const NO_PORT: u64 = 0xe0;
const LOG: Sort = Sort {
    kind: Kind::Log,
    make: |_| calls::derive(root(InitHandle::Log), Rights::all()),
    call: Call::LogRead,
    args: [0; 5],
    right: Rights::READ,
    answer: Ok(()),
    pages: 0,
};
const SYSTEM: Sort = Sort {
    kind: Kind::System,
    make: |_| calls::derive(root(InitHandle::System), Rights::all()),
    call: Call::SystemInfo,
    args: [1, 0, 0, 0, 0],
    right: Rights::INSPECT,
    answer: Ok(()),
    pages: 0,
};
const PORTS: Sort = Sort {
    kind: Kind::IoPorts,
    make: |_| calls::derive_range(root(InitHandle::IoPorts), Rights::all(), NO_PORT, 8),
    call: Call::PortRead,
    args: [NO_PORT, 1, 0, 0, 0],
    right: Rights::READ,
    answer: Ok(()),
    pages: 24,
};
const REGISTERS: Sort = Sort {
    kind: Kind::DeviceMemory,
    make: |_| device_memory::page(device_memory::WINDOW),
    call: Call::SpaceMap,
    args: [0, 0, PAGE_SIZE, Protection::READ.bits() as u64, 0],
    right: Rights::READ,
    answer: Ok(()),
    pages: 24,
};
const INTERRUPT: Sort = Sort {
    kind: Kind::Interrupt,
    make: |_| interrupt::message(),
    call: Call::InterruptAcknowledge,
    args: [0; 5],
    right: Rights::MANAGE,
    answer: Ok(()),
    pages: 0,
};
const DOMAIN: Sort = Sort {
    kind: Kind::DmaDomain,
    make: |account| calls::domain_create(root(InitHandle::DmaDomain), account, 0),
    call: Call::DomainRelease,
    args: [0; 5],
    right: Rights::MANAGE,
    answer: Ok(()),
    pages: 24,
};
const PIN: Sort = Sort {
    kind: Kind::Pin,
    make: |account| {
        let domain = calls::domain_create(root(InitHandle::DmaDomain), account, 0)?;
        let memory = calls::memory_create(account, 1, MemoryFlags::empty())?;
        let pin = domain::pin(domain, memory, PAGE_SIZE);
        [domain, memory].into_iter().for_each(calls::close);
        pin
    },
    call: Call::Inspect,
    args: [0; 5],
    right: Rights::INSPECT,
    answer: Ok(()),
    pages: 24,
};

tests! {
    "log" LOG: closed right child revoked granted;
    "system" SYSTEM: closed right child revoked granted;
    "port-range" PORTS: closed charged_to_maker full_of_maker right child revoked granted;
    "register-range" REGISTERS: closed charged_to_maker full_of_maker right child revoked granted;
    "interrupt" INTERRUPT: closed charged_to_maker right child revoked granted;
    "domain" DOMAIN: closed charged full right child revoked granted;
    "pin" PIN: closed charged_to_maker full_of_maker;
}
