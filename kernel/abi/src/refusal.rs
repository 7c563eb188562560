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
    Call {
        Closed "nobody can receive from the endpoint any more",
        BadArgument "extras or a lease are malformed, or there is no IPC buffer",
        BadHandle "a handle to be sent names nothing",
        NoRight "a capability to be sent does not carry TRANSFER",
        WrongKind "a lease is passed on from what is no reply object",
        BadAddress "a lease is not in the user half",
        LeaseRange "a lease passed on is not inside the one it is from",
        LeaseAccess "a lease passed on asks for more than it was lent for",
        NotSupported "a lease passed on goes too many calls deep",
        WrongState "a lease is passed on from a reply object without a call",
        OutOfQuota "the caller's account has nothing left for a lease",
        OutOfMemory "there is no free frame for a lease",
        TimedOut "the deadline passed first",
        Cancelled "the wait was cancelled, or a lease passed on was withdrawn",
        Restarted "the server ended after it had received the call",
        Revoked "the capability it was made through was revoked",
        Interrupted "an upcall came before it was received",
    }
    Open {
        NameTooLong "the name is longer than 32 bytes",
        InvalidName "the name is empty or holds what a scheme name may not",
        BadAddress "name or a lease is not the caller's to access so",
        OutOfQuota "the caller's account has nothing left for a lease or a page to be brought in",
        OutOfMemory "there is no free frame for a lease or a page to be brought in",
        Closed "nobody can receive from the endpoint any more",
        BadArgument "extras or a lease are malformed, or there is no IPC buffer",
        BadHandle "a handle to be sent names nothing",
        NoRight "the binding does not carry SEND, or a capability to be sent lacks TRANSFER",
        WrongKind "a lease is passed on from what is no reply object",
        LeaseRange "a lease passed on is not inside the one it is from",
        LeaseAccess "a lease passed on asks for more than it was lent for",
        NotSupported "a lease passed on goes too many calls deep",
        WrongState "a lease is passed on from a reply object without a call",
        TimedOut "the deadline passed first",
        Cancelled "the wait was cancelled, or a lease passed on was withdrawn",
        Restarted "the server ended after it had received the call",
        NotFound "nothing is bound to the name, or the caller has no namespace",
        Denied "the policy does not let the caller's label send to the root session's type",
        Revoked "the capability that the name was bound with was revoked",
        Interrupted "an upcall came before it was received",
    }
    ReplyRecv {
        BadHandle "the reply object's handle names nothing, or a handle to be sent",
        WrongKind "the reply object's handle names another kind",
        NoRight "the reply object's capability lacks SEND, or one to be sent TRANSFER",
        WrongState "no call is bound, and the reply object is not free",
        Busy "a lease is pinned, or held by a call further down",
        BadArgument "extras are malformed, or there is no IPC buffer",
        TimedOut "the deadline passed first",
        Cancelled "the wait was cancelled",
        Closed "the endpoint or the reply object ended",
        Revoked "the endpoint's capability was revoked while it waited",
        Interrupted "an upcall came while it waited",
    }
    Reply {
        WrongState "no call is bound to the reply object",
        Busy "a lease is pinned, or held by a call further down",
        BadArgument "extras are malformed, tell of leases or a deadline, or there is no IPC buffer",
        BadHandle "a handle to be sent names nothing",
        NoRight "a capability to be sent does not carry TRANSFER",
    }
    Recv {
        BadHandle "the reply object's handle names nothing",
        WrongKind "the reply object's handle names another kind",
        NoRight "the reply object's capability does not carry SEND",
        WrongState "the reply object is not free",
        BadArgument "a deadline without an IPC buffer",
        TimedOut "the deadline passed first",
        Cancelled "the wait was cancelled",
        Closed "the endpoint or the reply object ended",
        Revoked "the endpoint's capability was revoked",
        Interrupted "an upcall came",
    }
    Send {
        Closed "nobody can receive from the endpoint any more",
        BadArgument "extras or a lease are malformed, or there is no IPC buffer, or a lease is sent",
        BadHandle "a handle to be sent names nothing",
        NoRight "a capability to be sent does not carry TRANSFER",
        TimedOut "the deadline passed first",
        Cancelled "the wait was cancelled",
        Revoked "the capability it was made through was revoked",
        Interrupted "an upcall came before it was received",
    }
    Notify {}
    Wait {
        TimedOut "the deadline passed first",
        Cancelled "the wait was cancelled",
        Closed "the notification ended",
        Revoked "the capability it waited through was revoked",
        Interrupted "an upcall came",
    }
    LeaseRead {
        WrongState "no call is bound to the reply object",
        BadArgument "there is no lease with this index",
        Cancelled "the lease was withdrawn",
        LeaseRange "the range is not inside the lease",
        LeaseAccess "it was not lent for this",
        LeaseFault "the lender's page is not in memory",
        BadAddress "the own range is not the caller's to access so",
        OutOfQuota "a page could not be charged while it was brought in",
        OutOfMemory "there is no frame for a page to be brought in",
    }
    LeaseWrite {
        WrongState "no call is bound to the reply object",
        BadArgument "there is no lease with this index",
        Cancelled "the lease was withdrawn",
        LeaseRange "the range is not inside the lease",
        LeaseAccess "it was not lent for this",
        LeaseFault "the lender's page is not in memory",
        BadAddress "the own range is not the caller's to access so",
        OutOfQuota "a page could not be charged while it was brought in",
        OutOfMemory "there is no frame for a page to be brought in",
    }
    LeaseMap {
        WrongState "no call is bound to the reply object",
        BadArgument "no such lease, no or too many pages, or an address or protection that can't be",
        Cancelled "the lease was withdrawn",
        LeaseRange "the range is not inside the lease",
        LeaseAccess "it was not lent for this, or not whole pages",
        LeaseFault "the lender's page is not in memory",
        BadAddress "the address is not in the user half",
        Exists "something is mapped in the range",
        OutOfQuota "the caller's account has nothing left",
        OutOfMemory "there is no free frame",
    }
    LeasePin {
        WrongState "no call is bound to the reply object",
        BadArgument "no such lease, nothing or too much of it, more ranges than fit, or the root domain",
        Cancelled "the lease was withdrawn",
        LeaseRange "the range is not inside the lease",
        LeaseAccess "what is lent is registers or borrowed pages",
        BadHandle "the domain's handle names nothing",
        WrongKind "the domain's handle names another kind",
        NoRight "the domain's capability does not carry WRITE",
        LeaseFault "the lender's page is not in memory",
        BadAddress "the thread has no IPC buffer",
        TableFull "the caller's capability table is full",
        OutOfQuota "the caller's account has nothing left for the pin or for the table",
        OutOfMemory "there is no free frame for the pin or for the table",
    }
    Derive {
        BadHandle "the handle names nothing",
        NoRight "the capability does not carry DERIVE",
        BadArgument "unknown rights, or a range that is not inside",
        NotSupported "a range of a kind that has none",
        Retry "it is being revoked",
        TableFull "the caller's capability table is full",
        OutOfQuota "the account has nothing left for the object or for the table",
        OutOfMemory "there is no free frame for the object or for the table",
    }
    Close {
        BadHandle "the handle names nothing",
        Retry "it is being revoked",
    }
    Revoke {
        BadHandle "the handle names nothing",
        Retry "there is more to do, or too many revocations are running",
    }
    Inspect {
        BadHandle "the handle names nothing",
    }
    QuotaSplit {
        BadArgument "no pages, unknown flags, or nested too deep",
        TableFull "the caller's capability table is full",
        OutOfQuota "the account has nothing left for the object or for the table",
        OutOfMemory "there is no free frame for the object or for the table",
    }
    QuotaInfo {}
    QuotaProcess {
        NotFound "there is no process with a higher id",
    }
    QuotaOpen {
        NotFound "no process with this id is charged to the account or below",
        TableFull "the caller's capability table is full",
        OutOfQuota "the caller's account has nothing left for the table",
        OutOfMemory "there is no free frame for the table",
        Retry "the account's capability is being revoked",
    }
    QuotaLimit {
        BadHandle "the second account's handle names nothing",
        WrongKind "the second handle names no account",
        NoRight "the second account's handle lacks INSPECT",
        BadArgument "no such limit, or the second account was not split from the first",
        Busy "it uses more pages than that",
        OutOfQuota "the first account has not so many pages left",
    }
    QuotaUsage {
        BadAddress "the room is not writable memory of the caller's",
        OutOfQuota "a page to write to could not be charged",
        OutOfMemory "there is no frame for a page to write to",
    }
    ProcessQuota {
        Closed "the process has ended",
        Retry "the process's capability is being revoked",
        TableFull "the caller's table has no free entry",
        OutOfQuota "the caller's account has nothing left for a page of its table",
        OutOfMemory "there is no frame for a page of the table",
    }
    EndpointCreate {
        TableFull "the caller's capability table is full",
        OutOfQuota "the account has nothing left for the object or for the table",
        OutOfMemory "there is no free frame for the object or for the table",
    }
    SessionCreate {
        BadArgument "badge 0, or an object type past 32 bits",
        Exists "a badge as high was used before",
        TableFull "the caller's capability table is full",
        OutOfQuota "the account has nothing left for the object or for the table",
        OutOfMemory "there is no free frame for the object or for the table",
        Denied "the policy does not let the caller's label make sessions of the type",
    }
    SessionAcknowledge {
        NotFound "there is no session with this badge",
        WrongState "the session has not ended",
    }
    SessionNext {
        NotFound "there is no higher badge",
    }
    ReplyCreate {
        TableFull "the caller's capability table is full",
        OutOfQuota "the account has nothing left for the object or for the table",
        OutOfMemory "there is no free frame for the object or for the table",
    }
    NotificationCreate {
        TableFull "the caller's capability table is full",
        OutOfQuota "the account has nothing left for the object or for the table",
        OutOfMemory "there is no free frame for the object or for the table",
    }
    NotificationBind {
        BadHandle "the endpoint's handle names nothing",
        WrongKind "the endpoint's handle names another kind",
        NoRight "the endpoint's capability does not carry RECEIVE",
    }
    TimerSet {}
    NamespaceCreate {
        TableFull "the caller's capability table is full",
        OutOfQuota "the account has nothing left for the object or for the table",
        OutOfMemory "there is no free frame for the object or for the table",
    }
    NamespaceBind {
        BadHandle "the session's handle names nothing",
        WrongKind "the session's handle names another kind",
        NoRight "the session's capability does not carry TRANSFER",
        NameTooLong "the name is longer than 32 bytes",
        InvalidName "the name is empty or holds what a scheme name may not",
        BadAddress "the name is not the caller's to access so",
        Exists "the name is bound already",
        NotFound "there is nothing to unbind",
        TableFull "the namespace is full",
        OutOfQuota "the caller's account has nothing left for the entry",
        OutOfMemory "there is no free frame for the entry",
    }
    NamespaceEntry {
        NotFound "there is no name at this index",
        BadArgument "the name is longer than the room for it",
        BadAddress "the room is not the caller's to access so",
        OutOfQuota "a page could not be charged while it was brought in",
        OutOfMemory "there is no frame for a page to be brought in",
    }
    NamespaceSession {
        NotFound "nothing is bound to the name",
        NameTooLong "the name is longer than 32 bytes",
        InvalidName "the name is empty or holds what a scheme name may not",
        BadAddress "the name is not the caller's to access so",
        TableFull "the caller's capability table is full",
        OutOfQuota "the caller's account has nothing left for the table",
        OutOfMemory "there is no free frame for the table",
        Denied "the policy does not let the caller's label have sessions of this type",
        Retry "what the name was bound with is being revoked",
    }
    MemoryCreate {
        BadArgument "no pages, too many, or flags that don't go together",
        TableFull "the caller's capability table is full",
        OutOfQuota "the account has nothing left for the object or for the table",
        OutOfMemory "there are no free frames of the asked-for shape",
    }
    MemoryInfo {}
    MemoryRead {
        BadArgument "the range is not inside the object",
        BadAddress "the own range is not the caller's to access so",
        OutOfQuota "a page could not be charged while it was brought in",
        OutOfMemory "there is no frame for a page to be brought in",
    }
    MemoryWrite {
        BadArgument "the range is not inside the object",
        Busy "the pages are mapped executable",
        BadAddress "the own range is not the caller's to access so",
        OutOfQuota "a page could not be charged while it was brought in",
        OutOfMemory "there is no frame for a page to be brought in",
    }
    SpaceMap {
        BadHandle "the memory's handle names nothing",
        WrongKind "it names neither Memory nor DeviceMemory",
        NoRight "more than its capability allows, or registers that are RAM or the kernel's own",
        BadArgument "not whole pages, outside the object, or writable and executable",
        BadAddress "the range is not in the user half",
        Exists "something is mapped in the range",
        Busy "another mapping of these pages is executable, or writable",
        Closed "the space is ending",
        OutOfQuota "the account of the space has nothing left for the mapping",
        OutOfMemory "there is no free frame for the mapping, or no room for it",
    }
    SpaceUnmap {
        BadArgument "not whole pages, or none",
        BadAddress "the range is not in the user half",
        OutOfQuota "the account has nothing left for what is left of a mapping cut in two",
        OutOfMemory "there is no free frame for what is left of a mapping cut in two",
    }
    SpaceProtect {
        BadArgument "not whole pages, writable and executable, or none for borrowed pages",
        BadAddress "the range is not in the user half, or not mapped throughout",
        NoRight "more than the mapping was made with",
        Busy "another mapping of these pages is executable, or writable",
        OutOfQuota "the account has nothing left for a mapping cut in two",
        OutOfMemory "there is no free frame for a mapping cut in two",
    }
    MemoryClone {
        BadHandle "the account's handle names nothing",
        WrongKind "it names no account",
        NoRight "it lacks MANAGE",
        BadArgument "no pages, or not inside the object",
        NotSupported "the object has a pager",
        TableFull "the caller's table has no free entry",
        OutOfQuota "the account has nothing left for the clone's tables or copies",
        OutOfMemory "there is no frame for the clone's tables or copies",
    }
    SpaceClone {
        BadHandle "the second space's handle names nothing",
        WrongKind "it names no space",
        NoRight "it lacks MANAGE",
        BadArgument "both are one space",
        Busy "the second space is not empty",
        Exists "the second space was mapped into meanwhile",
        Closed "one of the spaces is ending",
        NotSupported "an object with a pager is to be copied",
        OutOfQuota "the second space's account has nothing left",
        OutOfMemory "there is no free frame",
    }
    ProcessCreate {
        BadArgument "the priority limit is above the caller's own",
        NameTooLong "the name is longer than 32 bytes",
        BadHandle "the namespace's handle names nothing",
        WrongKind "the namespace's handle names another kind",
        NoRight "the namespace's capability does not carry INSPECT",
        BadAddress "the name is not the caller's to access so",
        TableFull "the caller's capability table is full",
        OutOfQuota "the account has nothing left for the object or for the table",
        OutOfMemory "there is no free frame for the object or for the table",
    }
    ProcessGrant {
        BadHandle "the handle to be granted names nothing",
        NoRight "the capability to be granted does not carry TRANSFER",
        BadArgument "unknown rights",
        Closed "the process has ended",
        Retry "the capability is being revoked",
        TableFull "the table of the process is full",
        OutOfQuota "the account of the process has nothing left for its table",
        OutOfMemory "there is no free frame for the table",
        Denied "the policy does not let the process's label have sessions of this type",
    }
    ProcessExit {}
    ProcessKill {}
    ProcessStatus {}
    ProcessWatch {
        BadHandle "the notification's handle names nothing",
        WrongKind "the notification's handle names another kind",
        NoRight "the notification's capability does not carry SEND",
        BadArgument "no bits",
        OutOfQuota "the caller's account has nothing left for the watch",
        OutOfMemory "there is no free frame for the watch",
    }
    ProcessInfo {
        BadAddress "the room is not the caller's to access so",
        OutOfQuota "a page could not be charged while it was brought in",
        OutOfMemory "there is no frame for a page to be brought in",
    }
    ProcessCapability {
        NotFound "there is no further capability",
        BadAddress "the room is not the caller's to access so",
        OutOfQuota "a page could not be charged while it was brought in",
        OutOfMemory "there is no frame for a page to be brought in",
    }
    ProcessNamespace {
        Closed "the process has ended",
        TableFull "the caller's capability table is full",
        OutOfQuota "the caller's account has nothing left for the table",
        OutOfMemory "there is no free frame for the table",
        Retry "the process's capability is being revoked",
    }
    ThreadCreate {
        BadAddress "entry, stack or buffer is not the process's",
        BadArgument "the priority is above the limit of the process",
        Closed "the process has ended",
        TableFull "the caller's capability table is full",
        OutOfQuota "the account has nothing left for the object or for the table",
        OutOfMemory "there is no free frame for the object or for the table",
    }
    ThreadExit {}
    ThreadPriority {
        BadArgument "the priority is above the limit of its process",
        Closed "the thread has ended",
    }
    ThreadCancel {
        WrongState "the thread waits for nothing",
        Closed "the thread has ended",
    }
    ThreadYield {}
    ThreadSetFsBase {
        BadAddress "the base is not in the user half",
    }
    ThreadId {}
    Clock {}
    Sleep {
        Cancelled "the wait was cancelled",
        Interrupted "an upcall came",
    }
    TableClone {
        Closed "the process has ended",
        Busy "its table is not empty, it has threads, or it is the caller's own",
        Retry "a capability is being revoked",
        OutOfQuota "the process's account has nothing left for a page of its table",
        OutOfMemory "there is no free frame",
    }
    InterruptAllocate {
        BadArgument "not the root, or unknown flags",
        NotFound "there is no such line",
        Exists "somebody has the line",
        NotSupported "the machine has no message interrupts",
        TableFull "the caller's capability table is full",
        OutOfQuota "the account has nothing left for the object or for the table",
        OutOfMemory "no id is left, or there is no free frame",
        Retry "the root's capability is being revoked",
    }
    InterruptBind {
        BadArgument "the root, or no bits",
        BadHandle "the notification's handle names nothing",
        WrongKind "the notification's handle names another kind",
        NoRight "the notification's capability does not carry SEND",
    }
    InterruptAcknowledge {}
    PortRead {
        BadArgument "outside the range, or not 1, 2 or 4 bytes",
    }
    PortWrite {
        BadArgument "outside the range, or not 1, 2 or 4 bytes",
    }
    PortReadBytes {
        BadArgument "outside the range, or more than a page",
        BadAddress "the own range is not the caller's to access so",
        OutOfQuota "a page could not be charged while it was brought in",
        OutOfMemory "there is no frame for a page to be brought in",
    }
    PortWriteBytes {
        BadArgument "outside the range, or more than a page",
        BadAddress "the own range is not the caller's to access so",
        OutOfQuota "a page could not be charged while it was brought in",
        OutOfMemory "there is no frame for a page to be brought in",
    }
    DomainCreate {
        BadArgument "not the root",
        BadHandle "the account's handle names nothing",
        WrongKind "the account's handle names another kind",
        NoRight "the account's capability does not carry MANAGE",
        TableFull "the caller's capability table is full",
        OutOfQuota "the account has nothing left for the object or for the table",
        OutOfMemory "there is no free frame for the object or for the table",
        Exists "a view of memory has this tag",
        Retry "the root's capability is being revoked",
    }
    DomainPin {
        BadHandle "the memory's handle names nothing",
        WrongKind "the memory's handle names another kind",
        NoRight "the memory's capability does not carry READ and WRITE",
        TableFull "the caller's capability table is full",
        BadArgument "outside the object, empty, too many pages or ranges, or the root domain",
        Busy "the pages are mapped executable",
        BadAddress "the thread has no IPC buffer",
        OutOfQuota "the caller's account has nothing left for the pin or for the table",
        OutOfMemory "there is no free frame for the pin or for the table",
    }
    DomainRelease {}
    DomainOpen {
        BadArgument "it is not the root",
        NotFound "no view of memory has this tag",
        Retry "the root's capability is being revoked",
        TableFull "the caller's table has no free entry",
        OutOfQuota "the caller's account has nothing left for a page of its table",
        OutOfMemory "there is no frame for a page of the table",
    }
    LogWrite {
        BadAddress "the line is not the caller's to access so",
        OutOfQuota "a page could not be charged while it was brought in",
        OutOfMemory "there is no frame for a page to be brought in",
    }
    LogRead {
        BadAddress "the room is not the caller's to access so",
        OutOfQuota "a page could not be charged while it was brought in",
        OutOfMemory "there is no frame for a page to be brought in",
    }
    SystemInfo {
        BadArgument "there is no such what, or no room for a report",
        NotFound "there is no further report",
        BadAddress "the room is not the caller's to access so",
        OutOfQuota "a page could not be charged while it was brought in",
        OutOfMemory "there is no frame for a page to be brought in",
    }
    SystemWatch {
        BadHandle "the notification's handle names nothing",
        WrongKind "the notification's handle names another kind",
        NoRight "the notification's capability does not carry SEND",
        BadArgument "no bits",
    }
    SystemControl {
        BadArgument "there is no such what, or a status past 32 bits",
    }
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
        Revoked "the queue's capability was revoked",
        Interrupted "an upcall came",
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
        Interrupted "an upcall came",
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

/// All the errors that a call can answer with: its own, and those of its first argument that follow from its row.
pub fn pairs(call: Call) -> impl Iterator<Item = Error> {
    let implied: &[Error] =
        if call.needs().is_empty() { &[] } else { &[Error::BadHandle, Error::WrongKind, Error::NoRight] };
    let own = of(call).iter().map(|(error, _)| *error);
    implied.iter().copied().chain(own.filter(move |error| !implied.contains(error)))
}

#[cfg(test)]
mod tests {
    use super::{of, pairs};
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
    fn a_row_that_asks_for_something_implies_three_errors_and_one_that_does_not_none() {
        assert_eq!(pairs(Call::Notify).count(), 3);
        assert_eq!(pairs(Call::Clock).count(), 0);
        assert_eq!(pairs(Call::Recv).filter(|error| *error == Error::BadHandle).count(), 1);
    }
}
