//! Processes and threads: what their calls refuse.

refusals! {
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
    ThreadAffinity {
        BadArgument "there is no such processor",
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
        Busy "the session is told of the faults of 256 threads already",
    }
    ForeignHandler {
        BadAddress "the entry is not in the user half",
        Closed "the process has ended",
    }
}
