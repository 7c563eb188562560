//! Events: what their calls refuse.

refusals! {
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
}
