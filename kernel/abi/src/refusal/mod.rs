//! Which errors each call answers with, and why.
//!
//! The reference page and the list of what has to be tested are made of this. `BadHandle`, `WrongKind` and `NoRight` of
//! a call's first argument follow from its row in [`call`](crate::call) and are not repeated here, unless
//! another argument can cause them too.

use crate::call::Call;
use crate::error::Error;

/// One family's table: `of`, which knows the family's calls and no others.
macro_rules! refusals {
    ($($call:ident $(| $twin:ident)? { $($error:ident $cause:literal,)* })+) => {
        pub(super) fn of(call: crate::call::Call) -> Option<super::Refusals> {
            match call {
                $(crate::call::Call::$call $(| crate::call::Call::$twin)? => Some(&[$((crate::error::Error::$error, $cause)),*]),)+
                _ => None,
            }
        }
    };
}

mod authority;
mod event;
mod memory;
mod message;
mod pager;
mod process;
mod system;

/// Errors with their causes.
pub type Refusals = &'static [(Error, &'static str)];

/// The tables.
const FAMILIES: [fn(Call) -> Option<Refusals>; 7] =
    [authority::of, event::of, memory::of, message::of, pager::of, process::of, system::of];

/// The errors that a call can answer with, each with its cause.
pub fn of(call: Call) -> Refusals {
    FAMILIES.iter().find_map(|family| family(call)).unwrap_or(&[])
}

/// All the errors that a call can answer with: its own, and those of its first argument that follow from its row.
pub fn pairs(call: Call) -> impl Iterator<Item = Error> {
    let implied: &[Error] =
        if call.needs().is_empty() { &[] } else { &[Error::BadHandle, Error::WrongKind, Error::NoRight] };
    let own = of(call).iter().map(|(error, _)| *error);
    implied.iter().copied().chain(own.filter(move |error| !implied.contains(error)))
}

#[cfg(test)]
mod tests {
    use super::{of, pairs, FAMILIES};
    use crate::call::Call;
    use crate::error::Error;

    #[test]
    fn no_error_of_a_call_stands_twice_and_every_cause_is_a_clause() {
        for call in Call::ALL {
            for (i, (error, cause)) in of(*call).iter().enumerate() {
                assert!(of(*call).iter().skip(i + 1).all(|(other, _)| other != error), "{call:?} {error:?}");
                assert!(!cause.is_empty() && !cause.ends_with('.'), "{call:?} {error:?}");
            }
        }
    }

    #[test]
    fn every_call_stands_in_one_table() {
        for call in Call::ALL {
            let tables = FAMILIES.iter().filter(|family| family(*call).is_some()).count();
            assert_eq!(tables, 1, "{call:?}");
        }
    }

    #[test]
    fn a_row_that_asks_for_something_implies_three_errors_and_one_that_does_not_none() {
        assert_eq!(pairs(Call::Notify).count(), 3);
        assert_eq!(pairs(Call::Clock).count(), 0);
        assert_eq!(pairs(Call::Recv).filter(|error| *error == Error::BadHandle).count(), 1);
    }
}
