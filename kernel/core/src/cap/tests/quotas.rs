//! Accounts: every page charged to somebody, and all of them back at the end.

use crate::machine::Fault;
use crate::object::Session;
use crate::test_machine::Driver;
use abi::call::Call;
use abi::{Error, Handle, Kind, Rights};

const ALL: u64 = Rights::all().bits() as u64;

fn used(d: &mut Driver, quota: Handle) -> (u64, u64) {
    let [limit, used, ..] = d.call(Call::QuotaInfo, &[quota.word()]).unwrap();
    (limit, used)
}

fn split(d: &mut Driver, of: Handle, pages: u64) -> Handle {
    d.make(Call::QuotaSplit, &[of.word(), pages, 0]).unwrap()
}

#[test]
fn a_split_is_charged_whole_and_comes_back_whole() {
    let mut d = Driver::<{ Fault::NONE }>::default();
    // The page that the first child account itself needs, and the table's, stay out of the reckoning.
    let warm = split(&mut d, Handle::SELF_QUOTA, 1);
    let before = used(&mut d, Handle::SELF_QUOTA);
    let child = split(&mut d, Handle::SELF_QUOTA, 100);
    assert_eq!(used(&mut d, Handle::SELF_QUOTA), (before.0, before.1 + 100));
    let grandchild = split(&mut d, child, 60);
    assert_eq!(used(&mut d, child), (100, 61), "its limit, and the page with its record");
    assert_eq!(d.call(Call::QuotaSplit, &[child.word(), 60, 0]), Err(Error::OutOfQuota));
    assert_eq!(d.call(Call::QuotaSplit, &[child.word(), 0, 0]), Err(Error::BadArgument));
    assert_eq!(d.call(Call::QuotaSplit, &[child.word(), 1, 1]), Err(Error::BadArgument));
    assert_eq!(d.call(Call::QuotaSplit, &[child.word(), u64::MAX, 0]), Err(Error::OutOfQuota));
    d.call(Call::Close, &[child.word()]).unwrap();
    assert_eq!(used(&mut d, Handle::SELF_QUOTA).1, before.1 + 61, "an orphan is as large as what lives in it");
    d.call(Call::Close, &[grandchild.word()]).unwrap();
    assert_eq!(used(&mut d, Handle::SELF_QUOTA), before);
    d.call(Call::Close, &[warm.word()]).unwrap();
}

#[test]
fn charges_of_what_is_still_referenced_move_to_the_nearest_living_ancestor() {
    let mut d = Driver::<{ Fault::NONE }>::default();
    let warm = split(&mut d, Handle::SELF_QUOTA, 1);
    let parent = split(&mut d, Handle::SELF_QUOTA, 200);
    let child = split(&mut d, parent, 100);
    let memory = d.make(Call::MemoryCreate, &[child.word(), 8, 0]).unwrap();
    d.poke(0, b"x");
    let base = Driver::<0>::BASE;
    assert_eq!(d.call(Call::MemoryWrite, &[memory.word(), 0, base, 1]).unwrap()[0], 1);
    let (_, child_used) = used(&mut d, child);
    d.call(Call::Close, &[child.word()]).unwrap();
    let (limit, parent_used) = used(&mut d, parent);
    assert_eq!((limit, parent_used), (200, child_used + 1), "the record of the child is the parent's page");
    assert_eq!(d.call(Call::MemoryWrite, &[memory.word(), 4096, base, 1]).unwrap()[0], 1);
    assert_eq!(used(&mut d, parent).1, parent_used + 1, "it still grows, at the ancestor's cost");
    d.call(Call::Close, &[memory.word()]).unwrap();
    d.settle();
    assert_eq!(used(&mut d, parent).1, 0);
    d.call(Call::Close, &[parent.word()]).unwrap();
    d.call(Call::Close, &[warm.word()]).unwrap();
}

#[test]
fn accounts_nest_only_so_deep() {
    let mut d = Driver::<{ Fault::NONE }>::default();
    let mut at = Handle::SELF_QUOTA;
    let mut depth = 0;
    let error = loop {
        match d.make(Call::QuotaSplit, &[at.word(), 200 - depth * 3, 0]) {
            Ok(child) => at = child,
            Err(error) => break error,
        }
        depth += 1;
    };
    assert_eq!((error, depth), (Error::BadArgument, u64::from(crate::cap::quota::DEPTH)));
}

#[test]
fn a_process_that_filled_its_account_with_one_kind_leaves_nothing_behind() {
    let mut d = Driver::<{ Fault::NONE }>::default();
    let makers: [(Call, &[u64]); 5] = [
        (Call::NamespaceCreate, &[]),
        (Call::NotificationCreate, &[]),
        (Call::EndpointCreate, &[]),
        (Call::QuotaSplit, &[1]),
        (Call::MemoryCreate, &[3]),
    ];
    let warm = split(&mut d, Handle::SELF_QUOTA, 1);
    // The table that the handles stand in grows first: it keeps its pages for as long as its process lives.
    let probe = d.make(Call::NamespaceCreate, &[warm.word()]).unwrap();
    let room: Vec<Handle> = std::iter::from_fn(|| d.make(Call::Derive, &[probe.word(), ALL, 0, 0]).ok()).collect();
    for handle in room {
        d.call(Call::Close, &[handle.word()]).unwrap();
    }
    let before = (used(&mut d, Handle::SELF_QUOTA), d.kernel.frames.free());
    for (maker, args) in makers {
        let account = split(&mut d, Handle::SELF_QUOTA, 24);
        let mut made = Vec::new();
        let error = loop {
            match d.make(maker, &[&[account.word()], args].concat()) {
                Ok(handle) => made.push(handle),
                Err(error) => break error,
            }
        };
        assert!(matches!(error, Error::OutOfQuota | Error::TableFull), "{maker:?}: {error:?}");
        assert!(made.len() >= 16);
        for handle in made.into_iter().chain([account]) {
            d.call(Call::Close, &[handle.word()]).unwrap();
        }
        d.settle();
        assert_eq!((used(&mut d, Handle::SELF_QUOTA), d.kernel.frames.free()), before, "{maker:?}");
    }
}

#[test]
fn the_limit_holds_to_the_page() {
    let mut d = Driver::<{ Fault::NONE }>::default();
    let account = split(&mut d, Handle::SELF_QUOTA, 10);
    let memory = d.make(Call::MemoryCreate, &[account.word(), 64, 0]).unwrap();
    let base = Driver::<0>::BASE;
    let mut pages = 0;
    while d.call(Call::MemoryWrite, &[memory.word(), pages * 4096, base, 1]).is_ok() {
        pages += 1;
    }
    assert_eq!(used(&mut d, account), (10, 10));
    let full = d.call(Call::MemoryWrite, &[memory.word(), pages * 4096, base, 1]);
    assert_eq!(full, Err(Error::OutOfQuota));
    // The record's page and the table's page are the other two.
    assert_eq!(pages, 8);
}

#[test]
fn processes_of_an_account_and_below_are_found_by_id() {
    let mut d = Driver::<{ Fault::NONE }>::default();
    let account = split(&mut d, Handle::SELF_QUOTA, 200);
    let inner = split(&mut d, account, 100);
    let base = Driver::<0>::BASE;
    d.poke(0, b"inner");
    let first = d.call(Call::ProcessCreate, &[account.word(), base, 5, 10, 0]).unwrap()[0];
    let second = d.call(Call::ProcessCreate, &[inner.word(), base, 5, 10, 0]).unwrap()[0];
    let id = |d: &mut Driver, h: u64| d.call(Call::ProcessStatus, &[h]).unwrap()[2];
    let (one, two) = (id(&mut d, first), id(&mut d, second));
    let next = |d: &mut Driver, after: u64| d.call(Call::QuotaProcess, &[account.word(), after]).map(|v| v[0]);
    assert_eq!(next(&mut d, 0), Ok(one));
    assert_eq!(next(&mut d, one), Ok(two));
    assert_eq!(next(&mut d, two), Err(Error::NotFound));
    assert_eq!(next(&mut d, u64::MAX), Err(Error::NotFound));
    assert_eq!(d.call(Call::QuotaInfo, &[account.word()]).unwrap()[2], 1);
    let opened = d.make(Call::QuotaOpen, &[account.word(), two]).unwrap();
    d.call(Call::ProcessKill, &[opened.word(), 7]).unwrap();
    assert_eq!(d.call(Call::ProcessStatus, &[second]).unwrap(), [2, 7, two, 0]);
    d.settle();
    assert_eq!(next(&mut d, one), Err(Error::NotFound));
    assert_eq!(d.call(Call::QuotaOpen, &[account.word(), two]), Err(Error::NotFound));
    assert_eq!(d.call(Call::QuotaOpen, &[inner.word(), one]), Err(Error::NotFound), "it is above, not below");
}

#[test]
fn names_are_bound_found_listed_and_unbound() {
    let mut d = Driver::<{ Fault::NONE }>::default();
    let me = d.process;
    let endpoint = d.make(Call::EndpointCreate, &[Handle::SELF_QUOTA.word()]).unwrap();
    let session = d.make(Call::SessionCreate, &[endpoint.word(), 5, 0]).unwrap();
    let names = d.make(Call::NamespaceCreate, &[Handle::SELF_QUOTA.word()]).unwrap();
    d.poke(0, b"file-Aonger-than-thirty-two-characters");
    let base = Driver::<0>::BASE;
    let bind = |d: &mut Driver, length: u64, s: u64| d.call(Call::NamespaceBind, &[names.word(), base, length, s]);
    assert_eq!(bind(&mut d, 4, session.word()), Ok([0; 4]));
    assert_eq!(bind(&mut d, 4, session.word()), Err(Error::Exists));
    assert_eq!(bind(&mut d, 33, session.word()), Err(Error::NameTooLong));
    assert_eq!(bind(&mut d, 0, session.word()), Err(Error::InvalidName));
    assert_eq!(bind(&mut d, 6, session.word()), Err(Error::InvalidName), "no upper case");
    assert_eq!(bind(&mut d, 5, endpoint.word()), Err(Error::WrongKind));
    let dull = d.make(Call::Derive, &[session.word(), u64::from(Rights::SEND.bits()), 0, 0]).unwrap();
    assert_eq!(bind(&mut d, 5, dull.word()), Err(Error::NoRight));
    let bad = d.call(Call::NamespaceBind, &[names.word(), 0, 4, session.word()]);
    assert_eq!(bad, Err(Error::BadAddress));
    let found = d.make(Call::NamespaceSession, &[names.word(), base, 4]).unwrap();
    let told = d.call(Call::Inspect, &[found.word()]).unwrap();
    assert_eq!((told[0] & 0xff, told[1]), (Kind::Session as u64, 5));
    assert_eq!(d.call(Call::NamespaceEntry, &[names.word(), 0, base + 64, 32]).unwrap()[0], 4);
    assert_eq!(d.peek(64, 4), b"file");
    assert_eq!(d.call(Call::NamespaceEntry, &[names.word(), 0, base + 64, 3]), Err(Error::BadArgument));
    assert_eq!(d.call(Call::NamespaceEntry, &[names.word(), 1, base + 64, 32]), Err(Error::NotFound));
    assert_eq!(bind(&mut d, 4, 0), Ok([0; 4]));
    assert_eq!(bind(&mut d, 4, 0), Err(Error::NotFound));
    // A name alone keeps its session from ending.
    bind(&mut d, 4, session.word()).unwrap();
    let raw = d.kernel.caps[d.kernel.lookup_any(me, session).unwrap().0].object.get();
    let id = crate::id::Id::<Session>::try_new(raw as usize).unwrap();
    for handle in [session, found, dull] {
        d.call(Call::Close, &[handle.word()]).unwrap();
    }
    assert!(!d.kernel.sessions[id].has_ended.get());
    d.call(Call::Close, &[names.word()]).unwrap();
    d.settle();
    assert!(d.kernel.sessions[id].has_ended.get());
}
