//! Every error a call or a scheme can answer with.
//!
//! One enum for kernel calls and scheme operations, so that an error crosses servers unchanged.
//! 0 is success and is no variant. Numbers are part of the contract and are never reused.

/// Declares the errors once: number, name, meaning.
macro_rules! errors {
    ($($(#[doc = $doc:literal])+ $name:ident = $number:literal,)+) => {
        /// Why a call or a scheme operation was refused or failed.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u16)]
        pub enum Error { $($(#[doc = $doc])+ $name = $number,)+ }

        impl Error {
            /// All errors, in numeric order.
            pub const ALL: &'static [Error] = &[$(Error::$name,)+];

            /// The error with this number, if there is one.
            pub const fn from_number(number: u16) -> Option<Error> {
                match number { $($number => Some(Error::$name),)+ _ => None }
            }

            /// The variant's name, for logs and tests.
            pub const fn name(self) -> &'static str {
                match self { $(Error::$name => stringify!($name),)+ }
            }

            /// One plain sentence for people.
            pub const fn text(self) -> &'static str {
                match self { $(Error::$name => concat!($($doc),+),)+ }
            }
        }
    };
}

errors! {
    /// the handle names nothing in the caller's capability table
    BadHandle = 1,
    /// the handle names an object of another kind
    WrongKind = 2,
    /// the capability does not carry the right that this call asks for
    NoRight = 3,
    /// an argument is outside its range or malformed
    BadArgument = 4,
    /// an address is not the caller's, not mapped so, or not in the user half
    BadAddress = 5,
    /// the account that should be charged has nothing left
    OutOfQuota = 6,
    /// the machine has no free frame of the asked-for shape
    OutOfMemory = 7,
    /// the capability table is full
    TableFull = 8,
    /// no such entry, name, scheme or object
    NotFound = 9,
    /// the name or the range is taken already
    Exists = 10,
    /// the object is in use in a way that excludes this call
    Busy = 11,
    /// the deadline passed first
    TimedOut = 12,
    /// the call was cancelled before it was received
    Cancelled = 13,
    /// the server died after it had received the call; send it again
    Restarted = 14,
    /// the other side is gone for good
    Closed = 15,
    /// it would have to wait and was asked not to
    WouldBlock = 16,
    /// the server or the object does not offer this operation
    NotSupported = 17,
    /// the object is being revoked; try again later
    Retry = 18,
    /// the lender's page is not in memory; the lender brings it in and sends the rest
    LeaseFault = 19,
    /// the range is not inside what was lent
    LeaseRange = 20,
    /// the lease was not lent for this kind of access, or not whole pages for a map
    LeaseAccess = 21,
    /// the reply is not bound to a call, or bound already
    WrongState = 22,
    /// no kernel call has this number
    NoSuchCall = 23,
    /// the capability that this stems from was revoked
    Revoked = 24,
    /// the security policy does not allow it
    Denied = 25,

    /// a path component is not a directory
    NotDirectory = 64,
    /// the operation does not work on directories
    IsDirectory = 65,
    /// the directory still has entries
    NotEmpty = 66,
    /// the medium is full
    NoSpace = 67,
    /// the medium or the session is read-only
    ReadOnly = 68,
    /// the device failed
    Io = 69,
    /// what is on the medium is not well formed
    Corrupt = 70,
    /// a name or a path is longer than the server takes
    NameTooLong = 71,
    /// the name holds what this server cannot store
    InvalidName = 72,
    /// the server has no room for another open file
    TooManyOpen = 73,
    /// the file's permissions refuse it
    PermissionDenied = 74,
    /// source and target are on different servers
    CrossDevice = 75,
    /// the file would grow past what the format can hold
    FileTooLarge = 76,
    /// an interruption ended the operation early
    Interrupted = 77,
    /// the program file is not one this system can run
    NotExecutable = 78,
}

impl Error {
    /// The number as it travels in a status word.
    pub const fn number(self) -> u16 {
        self as u16
    }

    /// This error if something is so, for `?`: one reason to refuse in a line.
    #[inline(always)]
    pub const fn when(self, is_so: bool) -> Result<()> {
        if is_so {
            return Err(self);
        }
        Ok(())
    }
}

impl core::fmt::Display for Error {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(self.text().trim())
    }
}

impl core::error::Error for Error {}

/// The result of a kernel call or a scheme operation.
pub type Result<T> = core::result::Result<T, Error>;

/// Turns a status word (0 is success) into a result. An unknown number reads as `Io`.
pub const fn check(status: u64) -> Result<()> {
    if status == 0 {
        return Ok(());
    }
    let narrow = if status > u16::MAX as u64 { 0 } else { status as u16 };
    match Error::from_number(narrow) {
        Some(error) => Err(error),
        None => Err(Error::Io),
    }
}

#[cfg(test)]
mod tests {
    use super::{check, Error};

    #[test]
    fn numbers_and_errors_are_one_to_one() {
        for error in Error::ALL {
            assert_eq!(Error::from_number(error.number()), Some(*error));
            assert_eq!(check(u64::from(error.number())), Err(*error));
        }
        assert_eq!(check(0), Ok(()));
        assert_eq!(check(0xffff_ffff_0001), Err(Error::Io));
    }
}
