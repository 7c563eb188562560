//! What is refused because of what else is going on, and odd arguments.

use crate::scene::{Scene, BASE, NAME, RW, TAG};
use abi::call::Call;
use abi::{Error, Handle, Rights};
use kernel_core::address::FrameNumber;

const SELF_SPACE: u64 = Handle::SELF_SPACE.word();
const SELF_PROCESS: u64 = Handle::SELF_PROCESS.word();
const PAGE: u64 = 4096;
/// Readable and executable.
const RX: u64 = 5;
const AT: u64 = 0x5000_0000;

#[test]
fn what_would_stem_from_a_capability_that_is_being_revoked_comes_later() {
    let all = u64::from(Rights::all().bits());
    type Row = (Call, fn(&Scene) -> u64, fn(&Scene, u64) -> [u64; 6]);
    let rows: &[Row] = &[
        (Call::ProcessQuota, |s| s.process, |s, _| [s.process, 0, 0, 0, 0, 0]),
        (
            Call::QuotaOpen,
            |s| s.quota,
            |s, _| [s.quota, s.d.kernel.processes[s.d.process].header.object_id.get(), 0, 0, 0, 0],
        ),
        (Call::NamespaceSession, |s| s.session, |s, _| [s.namespace, BASE, NAME.len() as u64, 0, 0, 0]),
        (Call::ProcessGrant, |s| s.memory, |s, all| [SELF_PROCESS, s.memory, all, 0, 0, 0]),
        (Call::ProcessNamespace, |s| s.child, |s, _| [s.child, 0, 0, 0, 0, 0]),
        (Call::TableClone, |s| s.memory, |s, _| [s.child, 0, 0, 0, 0, 0]),
        (Call::InterruptAllocate, |s| s.interrupts, |s, _| [s.interrupts, u64::MAX, 0, 0, 0, 0]),
        (Call::DomainCreate, |s| s.domains, |s, _| [s.domains, s.quota, 9, 0, 0, 0]),
        (Call::DomainOpen, |s| s.domains, |s, _| [s.domains, TAG, 0, 0, 0, 0]),
    ];
    for (call, subject, args) in rows {
        let mut s = Scene::new();
        let args = args(&s, all);
        let handle = subject(&s);
        s.being_revoked(handle);
        s.refused(*call, &args, Error::Retry);
    }
}

#[test]
fn pages_are_not_writable_and_executable_at_once_by_whatever_way() {
    let mut s = Scene::new();
    let memory = s.memory;
    let map = |at: u64, protection: u64| [SELF_SPACE, memory, at, 0, PAGE, protection];
    s.d.call(Call::SpaceMap, &map(AT, RW)).expect("it is free");
    s.refused(Call::SpaceMap, &map(AT + PAGE, RX), Error::Busy);
    s.d.call(Call::SpaceMap, &map(AT + PAGE, 1)).expect("it is free");
    s.refused(Call::SpaceProtect, &[SELF_SPACE, AT + PAGE, PAGE, RX], Error::Busy);
    s.d.call(Call::SpaceUnmap, &[SELF_SPACE, AT, PAGE]).expect("it is mapped");
    s.d.call(Call::SpaceProtect, &[SELF_SPACE, AT + PAGE, PAGE, RX]).expect("nobody writes");
    let domain = s.domain;
    s.refused(Call::DomainPin, &[domain, memory, 0, PAGE], Error::Busy);
}

#[test]
fn pages_that_a_device_may_write_are_not_supplied() {
    let mut s = Scene::new();
    let (domain, memory, paged) = (s.domain, s.memory, s.paged);
    let pin = s.d.call(Call::DomainPin, &[domain, memory, 0, PAGE]).expect("it can be pinned")[0];
    s.refused(Call::PagerSupply, &[paged, 0, 1, memory, 0, 1], Error::Busy);
    s.d.call(Call::Close, &[pin]).expect("it is there");
    assert_eq!(s.d.call(Call::PagerSupply, &[paged, 0, 1, memory, 0, 1]).expect("the pin is gone")[0], 1);
}

#[test]
fn a_pin_without_a_buffer_to_tell_its_ranges_in_is_refused() {
    let mut s = Scene::new();
    s.d.kernel.threads[s.d.thread].buffer.set(FrameNumber(0));
    let (domain, memory) = (s.domain, s.memory);
    s.refused(Call::DomainPin, &[domain, memory, 0, PAGE], Error::BadAddress);
}

#[test]
fn watching_for_nothing_is_refused() {
    let mut s = Scene::new();
    let (quota, system, notification) = (s.quota, s.system, s.notification);
    s.refused(Call::PressureWatch, &[quota, notification, 0, 1], Error::BadArgument);
    s.refused(Call::PressureWatch, &[quota, notification, 1, 0], Error::BadArgument);
    s.refused(Call::SystemWatch, &[system, notification, 0], Error::BadArgument);
}

#[test]
fn an_fs_base_outside_the_user_half_is_refused() {
    Scene::new().refused(Call::ThreadSetFsBase, &[abi::memory::USER_END], Error::BadAddress);
}

#[test]
fn nothing_is_mapped_into_a_space_that_is_ending() {
    let mut s = Scene::new();
    let (child, space, memory) = (s.child, s.child_space, s.memory);
    s.d.call(Call::SpaceMap, &[space, memory, AT, 0, PAGE, RW]).expect("it is free");
    s.d.call(Call::ProcessKill, &[child, 1]).expect("it can be ended");
    s.d.settle();
    s.refused(Call::SpaceMap, &[space, memory, AT + PAGE, 0, PAGE, RW], Error::Closed);
}

#[test]
fn a_machine_without_message_interrupts_says_so() {
    let mut s = Scene::new();
    let interrupts = s.interrupts;
    s.d.kernel.machine.without_messages.set(true);
    s.refused(Call::InterruptAllocate, &[interrupts, u64::MAX, 0], Error::NotSupported);
    s.d.call(Call::InterruptAllocate, &[interrupts, 4, 0]).expect("lines it has");
}
