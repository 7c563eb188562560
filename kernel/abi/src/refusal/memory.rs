//! Memory and address spaces: what their calls refuse.

refusals! {
    MemoryCreate {
        BadArgument "no pages, too many, or flags that don't go together",
        TableFull "the caller's capability table is full",
        OutOfQuota "the account has nothing left for the object or for the table",
        OutOfMemory "there are no free frames of the asked-for shape",
    }
    MemoryInfo {}
    MemoryRead {
        BadArgument "the range is not inside the object",
        LeaseFault "a page is absent, or clean, and its pager has to be asked",
        BadAddress "the own range is not the caller's to access so",
        OutOfQuota "a page could not be charged while it was brought in",
        OutOfMemory "there is no frame for a page to be brought in",
    }
    MemoryWrite {
        BadArgument "the range is not inside the object",
        LeaseFault "a page is absent, or clean, and its pager has to be asked",
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
        OutOfQuota "the second space's account has nothing left",
        OutOfMemory "there is no free frame",
    }
}
