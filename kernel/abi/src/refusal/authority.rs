//! Capabilities, accounts and names: what their calls refuse.

refusals! {
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
}
