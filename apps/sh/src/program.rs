//! Programs: finding, starting and waiting for them.

use crate::paths;
use crate::shell::Shell;
use crate::system::{reason, Ended, Program, Streams};
use crate::view;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use scheme::stat::FileKind;
use scheme::wire::OpenFlags;
use scheme::{Error, Result};

/// The status where there is no such command (POSIX XCU 2.8.2).
pub const NOT_FOUND: u8 = 127;
/// The status where it can't be run.
pub const NOT_RUNNABLE: u8 = 126;
/// Where programs are found that are named without a path.
pub const PROGRAMS: &str = "initfs:bin";

/// The file of a program. Errors: the status, and what to say.
fn find(shell: &mut Shell, name: &str) -> core::result::Result<String, (u8, String)> {
    let by_path = name.contains('/') || paths::of_scheme(name).is_some();
    let path = if by_path { paths::absolute(&shell.cwd, name) } else { Ok(paths::join(PROGRAMS, name)) };
    let found = path.and_then(|path| view::stat(shell.system.as_mut(), &path).map(|stat| (path, stat)));
    match found {
        Ok((_, stat)) if stat.kind == FileKind::Directory => {
            Err((NOT_RUNNABLE, reason(Error::IsDirectory).to_string()))
        }
        Ok((path, _)) => Ok(path),
        Err(Error::NotFound | Error::NotDirectory | Error::InvalidName) if !by_path => {
            Err((NOT_FOUND, "command not found".into()))
        }
        Err(error @ (Error::NotFound | Error::NotDirectory)) => Err((NOT_FOUND, reason(error).to_string())),
        Err(error) => Err((NOT_RUNNABLE, reason(error).to_string())),
    }
}

/// Whether a file that is no program is text for a shell: no zero byte in its first piece (as POSIX XCU 2.9.1 allows).
fn is_script(shell: &mut Shell, path: &str) -> Result<bool> {
    let mut piece = [0; 256];
    let length = shell.system.open(path, OpenFlags::READ)?.read(&mut piece)?;
    let piece = piece.get(..length).unwrap_or(&[]);
    Ok(!piece.contains(&0) && !piece.starts_with(b"\x7fELF"))
}

/// Starts a program; its process. Errors: the status; the user was told why.
pub fn start(shell: &mut Shell, words: &[String], streams: &Streams) -> core::result::Result<u64, u8> {
    let name = words.first().map_or("", String::as_str);
    let path = match find(shell, name) {
        Ok(path) => path,
        Err((status, message)) => {
            shell.complain_to(streams, format_args!("{name}: {message}"));
            return Err(status);
        }
    };
    let environment = shell.environment();
    let program = Program { path: &path, arguments: words, environment: &environment, streams };
    let mut started = shell.system.spawn(&program);
    if started == Err(Error::NotExecutable) && is_script(shell, &path) == Ok(true) {
        let interpreter = paths::join(PROGRAMS, "sh");
        let mut words: Vec<String> = [interpreter.clone(), path.clone()].into();
        words.extend(program.arguments.iter().skip(1).cloned());
        started = shell.system.spawn(&Program { path: &interpreter, arguments: &words, ..program });
    }
    started.map_err(|error| {
        shell.complain_to(streams, format_args!("{name}: {}", reason(error)));
        NOT_RUNNABLE
    })
}

/// What the CPU's vectors are called.
fn fault(vector: u64) -> &'static str {
    match vector {
        0 => "division by zero",
        3 => "breakpoint",
        6 => "invalid instruction",
        13 => "general protection",
        14 => "page fault",
        16 | 19 => "floating point",
        17 => "alignment",
        0x100 => "unknown system call",
        _ => "exception",
    }
}

/// Waits for a program's end; its status, as shells have it: its code, or 128 and a signal's number.
pub fn finish(shell: &mut Shell, name: &str, process: u64, streams: &Streams) -> u8 {
    match shell.system.wait(process) {
        Ok(Ended::Exit(code)) => (code & 0xff) as u8,
        Ok(Ended::Killed) => {
            shell.complain_to(streams, format_args!("{name}: killed"));
            128 + 9
        }
        Ok(Ended::Fault(vector)) => {
            shell.complain_to(streams, format_args!("{name}: fault {vector} ({}); see dmesg", fault(vector)));
            // The signals that POSIX systems send for these: SIGFPE, SIGTRAP, SIGILL, SIGSYS, SIGBUS; else SIGSEGV.
            128 + match vector {
                0 | 16 | 19 => 8,
                3 => 5,
                6 => 4,
                0x100 => 31,
                17 => 7,
                _ => 11,
            }
        }
        Err(error) => {
            shell.complain_to(streams, format_args!("{name}: {}", reason(error)));
            NOT_FOUND
        }
    }
}
