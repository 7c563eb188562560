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
    QueueCreate {
        BadArgument "the capacity is 0 or above MAX_CAPACITY",
        OutOfQuota "the account has nothing left for the queue",
        OutOfMemory "there is no frame for the queue",
        TableFull "the caller's table has no free entry",
    }
    QueueAdd {
        BadHandle "the session's handle names nothing",
        WrongKind "the session's handle names something else",
        NoRight "the session's handle lacks INSPECT",
        BadArgument "no such mode, or a mask past 32 bits",
        Exists "the key is in use in this queue",
        TableFull "the queue watches as many sessions as it can",
        Busy "the session has as many interests as it can have",
        OutOfQuota "the queue's account has nothing left",
        OutOfMemory "there is no frame for the interest",
    }
    QueueChange {
        BadArgument "no such mode, or a mask past 32 bits",
        NotFound "nothing is watched under the key",
    }
    QueueRemove {
        NotFound "nothing is watched under the key",
    }
    QueueWait {
        BadArgument "the capacity is 0 or above BATCH",
        BadAddress "the room for the events is not the caller's to write",
        OutOfQuota "a page of that room could not be charged",
        OutOfMemory "there is no frame for a page of that room",
        TimedOut "the deadline passed before an event came",
        Cancelled "the wait was cancelled",
        Closed "the queue ended",
    }
    QueueBind {
        BadHandle "the notification's handle names nothing",
        WrongKind "the notification's handle names something else",
        NoRight "the notification's handle lacks SEND",
        BadArgument "a notification, but no bits",
    }
    SessionReady {
        BadArgument "bits past 32",
        NotFound "the endpoint has no session with this badge",
        WrongState "the session has ended",
    }
    FutexWait {
        BadArgument "the address is not aligned to 4 bytes, or the value is past 32 bits",
        BadAddress "the word is not in memory that the caller mapped and can read",
        OutOfQuota "the word's page could not be charged",
        OutOfMemory "there is no frame for the word's page",
        WouldBlock "the word has another value",
        TimedOut "the deadline passed first",
        Cancelled "the wait was cancelled",
    }
    FutexWake {
        BadArgument "the address is not aligned to 4 bytes",
        BadAddress "the word is not in memory that the caller mapped and can read",
    }
    FutexRequeue {
        BadArgument "an address is not aligned to 4 bytes, the value is past 32 bits, or both words are one",
        BadAddress "a word is not in memory that the caller mapped and can read",
        OutOfQuota "the word's page could not be charged",
        OutOfMemory "there is no frame for the word's page",
        WouldBlock "the word has another value",
    }
    TimerSet {}
    Sleep {
        Cancelled "the wait was cancelled",
        Interrupted "an upcall came",
    }
    ThreadSuspend {
        Closed "the thread has ended",
        WrongState "it is suspended already",
    }
    ThreadResume {
        Closed "the thread has ended",
        WrongState "it is not suspended",
    }
    ThreadRegisters {
        Closed "the thread has ended",
        WrongState "it is neither suspended nor is its fault with its handler",
        BadAddress "the words can't be written there",
        OutOfQuota "a page to write to could not be brought in",
        OutOfMemory "a page to write to could not be brought in",
    }
    ThreadSetRegisters {
        Closed "the thread has ended",
        WrongState "it waits or is not suspended, and its fault is not with its handler",
        BadAddress "the words can't be read, or rip or the FS base is not in the user half",
        OutOfQuota "a page to read from could not be brought in",
        OutOfMemory "a page to read from could not be brought in",
    }
    ThreadUpcall {
        BadArgument "no bits, or the one of faults",
        Closed "the thread has ended",
    }
    UpcallHandler {
        BadArgument "unknown flags, a stack that is too small, or a length without a stack",
        BadAddress "entry or stack is not in the user half",
        WrongState "no handler is to be, while a call is parked",
        OutOfQuota "the place for a parked call is charged to the process's account",
        OutOfMemory "there is no frame for the place of a parked call",
    }
    UpcallReturn {
        BadArgument "no multiple of 16, not a frame, or a call in it that is not parked",
        BadAddress "the frame can't be read, or rip or the FS base is not in the user half",
        OutOfQuota "a page of the frame could not be brought in",
        OutOfMemory "a page of the frame could not be brought in",
    }
    UpcallMask {
        BadArgument "neither 0 nor 1",
    }
    ThreadFaultHandler {
        BadHandle "the session's handle names nothing",
        WrongKind "it names no session",
        NoRight "it does not carry SEND",
        Closed "the thread has ended",
    }
    ForeignHandler {
        BadAddress "the entry is not in the user half",
        Closed "the process has ended",
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
