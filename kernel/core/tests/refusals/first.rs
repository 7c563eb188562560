//! The first argument: what a row asks for is asked before anything else.

use crate::scene::Scene;
use abi::call::Call;
use abi::{Error, Rights};

/// Kind and right that a row asks for.
fn asked(call: Call) -> Option<(&'static str, &'static str)> {
    call.needs().split_once(' ')
}

/// The rows that ask for something.
fn rows() -> impl Iterator<Item = (Call, &'static str, &'static str)> {
    Call::ALL.iter().filter_map(|call| asked(*call).map(|(kind, right)| (*call, kind, right)))
}

#[test]
fn a_handle_that_names_nothing_is_refused_by_every_call() {
    let mut s = Scene::new();
    assert!(rows().count() > 60, "the rows can't be read");
    for (call, ..) in rows() {
        s.refused(call, &[0xfff1, 0, 0, 0, 0, 0], Error::BadHandle);
        s.refused(call, &[u64::MAX, 0, 0, 0, 0, 0], Error::BadHandle);
    }
}

#[test]
fn a_handle_of_another_kind_is_refused_by_every_call() {
    let mut s = Scene::new();
    for (call, kind, _) in rows() {
        let other = if kind == "Notification" { s.endpoint } else { s.notification };
        s.refused(call, &[other, 0, 0, 0, 0, 0], Error::WrongKind);
    }
}

#[test]
fn a_capability_without_the_right_that_the_row_asks_for_is_refused_by_every_call() {
    for (call, kind, right) in rows() {
        let mut s = Scene::new();
        let right = Rights::from_name(right).expect("a right");
        let less = s.without(kind, right);
        s.refused(call, &[less, 0, 0, 0, 0, 0], Error::NoRight);
    }
}
