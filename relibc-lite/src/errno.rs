//! Errors as C programs number them: the values of Linux on x86_64, which musl
//! has too.
//!
//! Source: POSIX.1-2017, `errno.h`, for the meanings; the kernel's `asm-generic/errno*.h` for the numbers.

use abi::Error;

macro_rules! errnos {
    ($($name:ident = $number:literal,)+) => {
        $(#[doc = concat!("`", stringify!($name), "`")] pub const $name: i32 = $number;)+
        /// The name of a number, for messages and tests.
        pub const fn name(errno: i32) -> Option<&'static str> {
            match errno { $($number => Some(stringify!($name)),)+ _ => None }
        }
    };
}

errnos! {
    EPERM = 1, ENOENT = 2, EINTR = 4, EIO = 5, E2BIG = 7, ENOEXEC = 8, EBADF = 9, EAGAIN = 11, ENOMEM = 12, EACCES = 13,
    EFAULT = 14, EBUSY = 16, EEXIST = 17, EXDEV = 18, ENOTDIR = 20, EISDIR = 21, EINVAL = 22, EMFILE = 24, EFBIG = 27,
    ENOSPC = 28, EROFS = 30, ENAMETOOLONG = 36, ENOSYS = 38, ENOTEMPTY = 39, EILSEQ = 84, EOPNOTSUPP = 95,
    ETIMEDOUT = 110, ECANCELED = 125, EUCLEAN = 117,
}

/// The number a C program sees for an error of the system.
pub const fn errno(error: Error) -> i32 {
    match error {
        Error::BadHandle | Error::WrongKind => EBADF,
        Error::NoRight => EPERM,
        Error::BadArgument | Error::WrongState | Error::LeaseRange | Error::LeaseAccess => EINVAL,
        Error::BadAddress => EFAULT,
        Error::OutOfQuota | Error::OutOfMemory => ENOMEM,
        Error::TableFull | Error::TooManyOpen => EMFILE,
        Error::NotFound => ENOENT,
        Error::Exists => EEXIST,
        Error::Busy => EBUSY,
        Error::TimedOut => ETIMEDOUT,
        Error::Cancelled => ECANCELED,
        // The library resends; where it gave up, the device or server is what failed.
        Error::Restarted | Error::Closed | Error::Revoked | Error::Io | Error::LeaseFault => EIO,
        Error::WouldBlock | Error::Retry => EAGAIN,
        Error::NotSupported => EOPNOTSUPP,
        Error::NoSuchCall => ENOSYS,
        Error::NotDirectory => ENOTDIR,
        Error::IsDirectory => EISDIR,
        Error::NotEmpty => ENOTEMPTY,
        Error::NoSpace => ENOSPC,
        Error::ReadOnly => EROFS,
        Error::Corrupt => EUCLEAN,
        Error::NameTooLong => ENAMETOOLONG,
        Error::InvalidName => EILSEQ,
        Error::PermissionDenied | Error::Denied => EACCES,
        Error::CrossDevice => EXDEV,
        Error::FileTooLarge => EFBIG,
        Error::Interrupted => EINTR,
        Error::NotExecutable => ENOEXEC,
    }
}

#[cfg(test)]
mod tests {
    use super::{errno, name};
    use abi::Error;

    #[test]
    fn every_error_has_a_number_with_a_name() {
        for error in Error::ALL {
            assert!(name(errno(*error)).is_some(), "{error:?}");
        }
    }

    #[test]
    fn numbers_are_those_of_the_host() {
        // The host is Linux on x86_64: its own texts for the numbers tell whether ours are right.
        let text = |n| std::io::Error::from_raw_os_error(n).to_string();
        for (error, expected) in [
            (Error::NotFound, "No such file or directory"),
            (Error::NotEmpty, "Directory not empty"),
            (Error::Corrupt, "Structure needs cleaning"),
            (Error::TimedOut, "Connection timed out"),
            (Error::CrossDevice, "Invalid cross-device link"),
            (Error::NameTooLong, "File name too long"),
            (Error::NotExecutable, "Exec format error"),
        ] {
            assert!(text(errno(error)).starts_with(expected), "{error:?}: {}", text(errno(error)));
        }
    }
}
