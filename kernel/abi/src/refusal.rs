//! Which errors each call answers with, and why.
//!
//! The reference page and the list of what has to be tested are made of this. `BadHandle`, `WrongKind` and `NoRight` of
//! a call's first argument follow from its row in [`call`](crate::call) and are not repeated here, unless
//! another argument can cause them too.

use crate::call::Call;
use crate::error::Error;

macro_rules! refusals {
    ($($call:ident { $($error:ident $cause:literal,)* })+) => {
        /// The errors that a call can answer with, each with its cause.
        pub const fn of(call: Call) -> &'static [(Error, &'static str)] {
            match call {
                $(Call::$call => &[$((Error::$error, $cause)),*],)+
                _ => &[],
            }
        }
    };
}

refusals! {
    Clock {}
    Sleep {
        Cancelled "the wait was cancelled",
    }
}
