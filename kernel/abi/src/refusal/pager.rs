//! Memory that a pager supplies, and pressure: what their calls refuse.

refusals! {
    PagerCreate {
        BadHandle "the account's handle names nothing",
        WrongKind "the account's handle names another kind",
        NoRight "the account's capability does not carry MANAGE",
        BadArgument "no pages, too many, or unknown flags",
        TableFull "the caller's capability table is full",
        OutOfQuota "the account has nothing left for the object or for the table",
        OutOfMemory "there is no free frame for the object or for the table",
    }
    PagerSupply {
        BadHandle "the source's handle names nothing",
        WrongKind "the source's handle names another kind",
        NoRight "the source's capability does not carry WRITE",
        NotSupported "the object has no pager",
        BadArgument "outside either object, an access that is none, or a source that is a run or has a pager",
        Busy "the source is pinned, or somebody else holds its page",
        OutOfQuota "an account has nothing left for a page or for a table",
        OutOfMemory "there is no free frame for a page or for a table",
    }
    PagerFail {
        NotSupported "the object has no pager",
        BadArgument "no pages, outside the object, or no error's number",
    }
    PagerTake {
        NotSupported "the object has no pager",
        BadArgument "no pages, outside the object, or neither 0 nor 1",
    }
    PressureWatch {
        BadHandle "the notification's handle names nothing",
        WrongKind "the notification's handle names another kind",
        NoRight "the notification's capability does not carry SEND, or not all the bits",
        BadArgument "no bits, or no pages",
    }
}
