//! Handles, rights, derivation, closing, revoking.

use crate::machine::Fault;
use crate::test_machine::Driver;
use abi::call::Call;
use abi::{Error, Handle, Kind, Rights};

const ALL: u64 = Rights::all().bits() as u64;

fn namespace(d: &mut Driver) -> Handle {
    d.make(Call::NamespaceCreate, &[Handle::SELF_QUOTA.word()]).unwrap()
}

fn derive(d: &mut Driver, from: Handle, rights: Rights) -> Result<Handle, Error> {
    d.make(Call::Derive, &[from.word(), u64::from(rights.bits()), 0, 0])
}

fn is_alive(d: &mut Driver, handle: Handle) -> bool {
    d.call(Call::Inspect, &[handle.word()]).is_ok()
}

#[test]
fn a_handle_is_checked_for_kind_generation_and_rights() {
    let mut d = Driver::<{ Fault::NONE }>::default();
    let names = namespace(&mut d);
    let look = derive(&mut d, names, Rights::INSPECT).unwrap();
    let entry = |d: &mut Driver, h: Handle| d.call(Call::NamespaceEntry, &[h.word(), 0, Driver::<0>::BASE, 32]);
    assert_eq!(entry(&mut d, look), Err(Error::NotFound), "the right is there: the call looks for the name");
    assert_eq!(d.call(Call::NamespaceSession, &[look.word(), 0, 0]), Err(Error::NoRight));
    assert_eq!(d.call(Call::MemoryInfo, &[look.word()]), Err(Error::WrongKind));
    assert_eq!(entry(&mut d, Handle::new(look.index(), look.generation() + 1)), Err(Error::BadHandle));
    assert_eq!(entry(&mut d, Handle::new(look.index() + 1, 1)), Err(Error::BadHandle));
    assert_eq!(entry(&mut d, Handle::new(60_000, 1)), Err(Error::BadHandle));
    assert_eq!(entry(&mut d, Handle::NONE), Err(Error::BadHandle));
    assert_eq!(d.call(Call::NamespaceEntry, &[look.word() | 1 << 32]), Err(Error::BadHandle));
    assert_eq!(d.call(Call::NamespaceEntry, &[u64::from(Handle::FIRST_PSEUDO)]), Err(Error::BadHandle));
    d.call(Call::Close, &[look.word()]).unwrap();
    assert_eq!(entry(&mut d, look), Err(Error::BadHandle));
    let again = derive(&mut d, names, Rights::INSPECT).unwrap();
    assert_eq!(again.index(), look.index(), "the entry is used again");
    assert_ne!(again, look, "under another generation");
    assert_eq!(entry(&mut d, look), Err(Error::BadHandle), "and the old handle names nothing");
}

#[test]
fn an_entry_whose_generations_are_used_up_is_retired() {
    let mut d = Driver::<{ Fault::NONE }>::default();
    let names = namespace(&mut d);
    let first = derive(&mut d, names, Rights::INSPECT).unwrap();
    d.call(Call::Close, &[first.word()]).unwrap();
    let mut last = first;
    for _ in 0..0x1_0000 {
        last = derive(&mut d, names, Rights::INSPECT).unwrap();
        d.call(Call::Close, &[last.word()]).unwrap();
        assert!(last.generation() != 0 && last.generation() != 0xffff && !last.is_pseudo());
        if last.index() != first.index() {
            break;
        }
    }
    assert_ne!(last.index(), first.index());
    let pages = d.kernel.processes[d.process].table_pages.get();
    for generation in [1, 2, 0xfffe] {
        assert!(!is_alive(&mut d, Handle::new(first.index(), generation)));
    }
    assert_eq!(d.kernel.processes[d.process].table_pages.get(), pages);
}

#[test]
fn rights_only_ever_shrink() {
    let mut d = Driver::<{ Fault::NONE }>::default();
    let names = namespace(&mut d);
    let rights = |d: &mut Driver, h: Handle| d.call(Call::Inspect, &[h.word()]).unwrap()[0] >> 8;
    let maker = rights(&mut d, names);
    let same = derive(&mut d, names, Rights::all()).unwrap();
    assert_eq!(rights(&mut d, same), maker, "asking for more than there is gives what there is");
    let few = derive(&mut d, names, Rights::INSPECT | Rights::DERIVE).unwrap();
    let more = derive(&mut d, few, Rights::all()).unwrap();
    assert_eq!(rights(&mut d, more), u64::from((Rights::INSPECT | Rights::DERIVE).bits()));
    let none = derive(&mut d, names, Rights::INSPECT).unwrap();
    assert_eq!(derive(&mut d, none, Rights::INSPECT), Err(Error::NoRight));
    for unknown in [1 << 9, 1 << 15, 1 << 16, 1 << 40, u64::MAX] {
        assert_eq!(d.call(Call::Derive, &[names.word(), unknown]), Err(Error::BadArgument));
    }
    assert_eq!(d.call(Call::Derive, &[names.word(), ALL, 1, 0]), Err(Error::NotSupported), "names have no range");
    let (other, me) = (d.spawn(), d.process);
    let process = d.kernel.cap_insert(me, Kind::Process, other.raw(), Rights::all(), None).unwrap();
    assert_eq!(d.call(Call::ProcessGrant, &[process.word(), few.word(), ALL]), Err(Error::NoRight), "no TRANSFER");
    let there = d.make(Call::ProcessGrant, &[process.word(), names.word(), u64::from(Rights::INSPECT.bits())]).unwrap();
    let [told, ..] = d.call_as(other, Call::Inspect, &[there.word()]).unwrap();
    assert_eq!(told, Kind::Namespace as u64 | u64::from(Rights::INSPECT.bits()) << 8);
    assert!(!is_alive(&mut d, Handle::new(900, there.generation())));
}

#[test]
fn closing_hands_children_to_the_parent_and_revoking_takes_them() {
    let mut d = Driver::<{ Fault::NONE }>::default();
    let root = namespace(&mut d);
    let middle = derive(&mut d, root, Rights::all()).unwrap();
    let leaves: Vec<Handle> = (0..50).map(|_| derive(&mut d, middle, Rights::all()).unwrap()).collect();
    // An interrupt at every look: the close goes on until it is done, and nothing is lost on the way.
    d.kernel.machine.interrupt_every(1);
    d.call(Call::Close, &[middle.word()]).unwrap();
    assert!(!is_alive(&mut d, middle));
    assert!(leaves.iter().all(|leaf| is_alive(&mut d, *leaf)));
    d.kernel.machine.interrupt_every(0);
    d.call(Call::Revoke, &[root.word()]).unwrap();
    assert!(is_alive(&mut d, root));
    assert!(!leaves.iter().any(|leaf| is_alive(&mut d, *leaf)));
}

#[test]
fn the_end_of_a_process_hands_children_to_the_parent() {
    let mut d = Driver::<{ Fault::NONE }>::default();
    let (me, middle, last) = (d.process, d.spawn(), d.spawn());
    let to_middle = d.kernel.cap_insert(me, Kind::Process, middle.raw(), Rights::all(), None).unwrap();
    let names = namespace(&mut d);
    let lent = d.make(Call::ProcessGrant, &[to_middle.word(), names.word(), ALL]).unwrap();
    let to_last = d.kernel.cap_insert(middle, Kind::Process, last.raw(), Rights::all(), None).unwrap();
    let [passed, ..] = d.call_as(middle, Call::ProcessGrant, &[to_last.word(), lent.word(), ALL]).unwrap();
    d.call(Call::ProcessKill, &[to_middle.word(), 1]).unwrap();
    d.settle();
    assert!(d.call_as(last, Call::Inspect, &[passed]).is_ok(), "what it passed on lives on");
    d.call(Call::Revoke, &[names.word()]).unwrap();
    assert_eq!(d.call_as(last, Call::Inspect, &[passed]), Err(Error::BadHandle), "and can still be taken away");
}

#[test]
fn a_revocation_cannot_be_outrun_and_goes_on_by_itself() {
    let mut d = Driver::<{ Fault::NONE }>::default();
    let root = namespace(&mut d);
    let mut chain = vec![root];
    for _ in 0..100 {
        let child = derive(&mut d, *chain.last().unwrap(), Rights::all()).unwrap();
        chain.push(child);
    }
    let leaf = *chain.last().unwrap();
    d.kernel.machine.interrupt_every(1);
    assert_eq!(d.call(Call::Revoke, &[root.word()]), Err(Error::Retry));
    for handle in [root, leaf] {
        assert_eq!(derive(&mut d, handle, Rights::all()), Err(Error::Retry), "nothing new is made of it meanwhile");
    }
    assert_eq!(d.call(Call::Close, &[root.word()]), Err(Error::Retry));
    let bystander = namespace(&mut d);
    assert!(derive(&mut d, bystander, Rights::all()).is_ok(), "other objects are not concerned");
    // The caller never asks again: the reaper brings it to its end.
    d.kernel.machine.interrupt_every(0);
    d.settle();
    assert!(chain[1..].iter().all(|h| !is_alive(&mut d, *h)));
    assert!(derive(&mut d, root, Rights::all()).is_ok());
}

#[test]
fn revocations_within_revocations_come_to_an_end() {
    let mut d = Driver::<{ Fault::NONE }>::default();
    let root = namespace(&mut d);
    let middle = derive(&mut d, root, Rights::all()).unwrap();
    let leaves: Vec<Handle> = (0..40).map(|_| derive(&mut d, middle, Rights::all()).unwrap()).collect();
    d.kernel.machine.interrupt_every(1);
    assert_eq!(d.call(Call::Revoke, &[middle.word()]), Err(Error::Retry));
    while d.call(Call::Revoke, &[root.word()]) == Err(Error::Retry) {}
    d.kernel.machine.interrupt_every(0);
    d.settle();
    assert!(!is_alive(&mut d, middle) && leaves.iter().all(|h| !is_alive(&mut d, *h)));
    assert_eq!(d.call(Call::Revoke, &[middle.word()]), Err(Error::BadHandle));
    assert_eq!(d.kernel.reaper.revoking.get(), 0);
    assert!(d.kernel.reaper.revocations.iter().all(|place| place.get() == 0));
}

#[test]
fn a_full_table_refuses_and_takes_again_after_a_close() {
    let mut d = Driver::<{ Fault::NONE }>::default();
    let root = namespace(&mut d);
    let mut last = root;
    let error = loop {
        match derive(&mut d, root, Rights::all()) {
            Ok(handle) => last = handle,
            Err(error) => break error,
        }
    };
    assert_eq!(error, Error::TableFull);
    d.call(Call::Close, &[last.word()]).unwrap();
    assert!(derive(&mut d, root, Rights::all()).is_ok());
    assert_eq!(d.call(Call::QuotaSplit, &[Handle::SELF_QUOTA.word(), 4, 0]), Err(Error::TableFull));
}

#[test]
fn pseudo_handles_name_the_callers_own_and_no_more() {
    let mut d = Driver::<{ Fault::NONE }>::default();
    let inspect = |d: &mut Driver, h: Handle| d.call(Call::Inspect, &[h.word()]).unwrap();
    let own = u64::from((Rights::INSPECT | Rights::MANAGE).bits());
    assert_eq!(inspect(&mut d, Handle::SELF_PROCESS)[0], Kind::Process as u64 | own << 8);
    assert_eq!(inspect(&mut d, Handle::SELF_QUOTA)[0], Kind::Quota as u64 | own << 8);
    let look = u64::from(Rights::INSPECT.bits());
    assert_eq!(inspect(&mut d, Handle::SELF_NAMESPACE)[0], Kind::Namespace as u64 | look << 8);
    let bind = [Handle::SELF_NAMESPACE.word(), Driver::<0>::BASE, 4, 0];
    assert_eq!(d.call(Call::NamespaceBind, &bind), Err(Error::NoRight), "a shared namespace is not its to change");
    let through = d.make(Call::ProcessNamespace, &[Handle::SELF_PROCESS.word()]).unwrap();
    assert_eq!(d.call(Call::NamespaceBind, &[through.word(), Driver::<0>::BASE, 4, 0]), Err(Error::NoRight));
    let id = d.kernel.processes[d.process].header.object_id.get();
    let opened = d.make(Call::QuotaOpen, &[Handle::SELF_QUOTA.word(), id]).unwrap();
    assert_eq!(d.call(Call::ProcessKill, &[opened.word(), 0]), Err(Error::NoRight), "nor are its neighbours' lives");
    assert_eq!(derive(&mut d, Handle::SELF_PROCESS, Rights::all()), Err(Error::BadHandle));
}
