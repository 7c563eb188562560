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
    Open {
        Denied "the policy does not let the caller's label send to the root session's type",
    }
    SessionCreate {
        Denied "the policy does not let the caller's label make sessions of the type",
    }
    NamespaceSession {
        Denied "the policy does not let the caller's label have sessions of this type",
    }
    ProcessGrant {
        Denied "the policy does not let the process's label have sessions of this type",
    }
    PolicyLoad {
        WrongState "a policy is loaded already",
        BadArgument "it is malformed, too long, or gives the default subject or type anything",
        BadAddress "the policy is not in the caller's memory",
        OutOfQuota "the root account has no pages for policy and rings",
        OutOfMemory "no run of free frames is long enough for policy and rings",
    }
    ProcessLabel {
        Closed "the process has ended",
        WrongState "the process has a thread or a capability",
        BadArgument "the policy knows no such label",
        Denied "the policy does not let the caller's label give this one",
    }
    AuditRead {
        WrongState "no policy is loaded, so there are no records",
        BadArgument "there is no such ring, or no room for one record",
        BadAddress "the room is not writable memory of the caller's",
        OutOfQuota "the caller's account has nothing left for the page written to",
        OutOfMemory "there is no frame for the page written to",
    }
    AuditWrite {
        WrongState "no policy is loaded, so there is no record",
        BadArgument "it is shorter than a name, or longer than name and text",
        BadAddress "the note is not in the caller's memory",
        OutOfQuota "the caller's account has nothing left for the page read from",
        OutOfMemory "there is no frame for the page read from",
    }
}
