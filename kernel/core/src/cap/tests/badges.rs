//! Badges of notifications: which bits a capability may set.

use crate::machine::Fault;
use crate::test_machine::Driver;
use abi::call::Call;
use abi::{Error, Handle, Kind, Rights};

const ALL: u64 = Rights::all().bits() as u64;

fn derive(d: &mut Driver, from: Handle, badge: u64) -> Result<Handle, Error> {
    d.make(Call::Derive, &[from.word(), ALL, badge, 0])
}

#[test]
fn a_badge_limits_the_bits_that_a_capability_sets_and_only_ever_shrinks() {
    let mut d = Driver::<{ Fault::NONE }>::default();
    let bell = d.make(Call::NotificationCreate, &[Handle::SELF_QUOTA.word()]).unwrap();
    let badge = |d: &mut Driver, h: Handle| d.call(Call::Inspect, &[h.word()]).unwrap()[1];
    let low = derive(&mut d, bell, 0xff).unwrap();
    assert_eq!((badge(&mut d, bell), badge(&mut d, low)), (0, 0xff));
    d.call(Call::Notify, &[low.word(), 0x81]).unwrap();
    assert_eq!(d.call(Call::Notify, &[low.word(), 0x101]), Err(Error::NoRight));
    d.call(Call::Notify, &[bell.word(), 0x101]).unwrap();
    // A child has its parent's badge, or less.
    let same = derive(&mut d, low, 0).unwrap();
    assert_eq!(badge(&mut d, same), 0xff);
    let one = derive(&mut d, same, 0x10).unwrap();
    assert_eq!(badge(&mut d, one), 0x10);
    assert_eq!(derive(&mut d, one, 0x30), Err(Error::BadArgument));
    assert_eq!(derive(&mut d, same, 0x100), Err(Error::BadArgument));
    // It stays with what is passed on, and when its parent goes.
    let process = d.spawn();
    let given = d.kernel.cap_transfer(d.process, one, Rights::all(), process).unwrap().0;
    for handle in [one, same, low] {
        d.call(Call::Close, &[handle.word()]).unwrap();
    }
    assert_eq!(d.call_as(process, Call::Notify, &[given.word(), 0x20]), Err(Error::NoRight));
    d.call_as(process, Call::Notify, &[given.word(), 0x10]).unwrap();
}

#[test]
fn a_badge_counts_wherever_bits_are_left_to_be_set() {
    let mut d = Driver::<{ Fault::NONE }>::default();
    let bell = d.make(Call::NotificationCreate, &[Handle::SELF_QUOTA.word()]).unwrap();
    let one = derive(&mut d, bell, 1).unwrap();
    let me = Handle::SELF_PROCESS.word();
    for bits in [1, 2] {
        let expected = if bits == 1 { Ok([0; 4]) } else { Err(Error::NoRight) };
        assert_eq!(d.call(Call::TimerSet, &[one.word(), bits, 1 << 40]), expected);
        assert_eq!(d.call(Call::ProcessWatch, &[me, one.word(), bits]), expected);
    }
    // What has no badge takes none.
    let names = d.make(Call::NamespaceCreate, &[Handle::SELF_QUOTA.word()]).unwrap();
    assert_eq!(derive(&mut d, names, 5), Err(Error::NotSupported));
    let kind = d.call(Call::Inspect, &[one.word()]).unwrap()[0] as u8;
    assert_eq!(kind, Kind::Notification as u8);
}
