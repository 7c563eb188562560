//! Devices, the system and its security: what their calls refuse.

refusals! {
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
