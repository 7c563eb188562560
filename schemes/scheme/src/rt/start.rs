//! Entry of a program: its start block, the log, panics.
//!
//! A program says `scheme::entry!(run);` beside `fn run() -> u64`; what it returns is its exit code. On the host the
//! macro makes an ordinary `main` of it.

#[cfg(target_os = "none")]
use crate::log;
use abi::start::Start;
use abi::Handle;
use alloc::string::String;
use alloc::vec::Vec;
use spin::Once;

static START: Once<Start<'static>> = Once::new();

/// The start block; an empty one on the host.
pub fn start() -> Option<&'static Start<'static>> {
    START.get()
}

/// The handle with this name that the spawner gave.
pub fn handle(name: &str) -> Option<Handle> {
    start()?.handle(name)
}

/// The arguments, the program's name first.
pub fn arguments() -> Vec<String> {
    let lossy = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    start().map(|start| start.arguments().map(lossy).collect()).unwrap_or_default()
}

/// The program's name; `?` where there is none.
pub fn name() -> &'static str {
    let first = start().and_then(|start| start.arguments().next());
    first.and_then(|bytes| core::str::from_utf8(bytes).ok()).unwrap_or("?")
}

/// A variable of the environment.
pub fn variable(name: &str) -> Option<String> {
    let mut all = start()?.environment();
    all.find_map(|entry| {
        let value = entry.strip_prefix(name.as_bytes())?.strip_prefix(b"=")?;
        Some(String::from_utf8_lossy(value).into_owned())
    })
}

#[cfg(target_os = "none")]
core::arch::global_asm!(
    ".global _start",
    ".type _start, @function",
    "_start:",
    // rdi is the start block. Frames end here; the stack is aligned as the ABI wants it before a call.
    "xor ebp, ebp",
    "and rsp, -16",
    "call {begin}",
    "ud2",
    begin = sym begin,
);

#[cfg(target_os = "none")]
extern "Rust" {
    // Made by `entry!` in the binary.
    fn limitless_main() -> u64;
}

#[cfg(target_os = "none")]
extern "C" fn begin(block: *const u8) -> ! {
    use super::{buffer, calls, syscall};
    use abi::start::{layout, MAX_LENGTH};
    // SAFETY: (1) the spawner maps the IPC buffer there and made this thread with it; (2) nobody else uses it; (3) FS is
    // free: nothing ran before.
    unsafe {
        (layout::IPC_BUFFER as *mut u64).add(buffer::SELF).write_volatile(layout::IPC_BUFFER);
        let _ = syscall::thread_set_fs_base(layout::IPC_BUFFER);
    }
    if !block.is_null() {
        // The header tells how long the block is; only so much is mapped.
        // SAFETY: the spawner mapped a start block there, read-only, for the life of the process.
        let length = unsafe { block.add(8).cast::<u32>().read_unaligned() } as usize;
        // SAFETY: as above; the length is the block's own.
        let bytes = unsafe { core::slice::from_raw_parts(block, length.min(MAX_LENGTH)) };
        if let Ok(start) = Start::new(bytes) {
            START.call_once(|| start);
        }
    }
    log::init();
    // SAFETY: `entry!` defines it with this signature; a binary without it doesn't link.
    let code = unsafe { limitless_main() };
    calls::exit(code)
}

/// The exit code of a program that panicked.
pub const PANICKED: u64 = 101;

#[cfg(target_os = "none")]
#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    use core::fmt::Write;
    // No heap: it may be what failed.
    let mut line = log::Line::new();
    let _ = write!(line, "{} panicked: {}", name(), info.message());
    if let Some(at) = info.location() {
        let _ = write!(line, " ({}:{})", at.file(), at.line());
    }
    log::raw(line.as_bytes());
    super::calls::exit(PANICKED)
}

/// Makes a `fn() -> u64` (the exit code) the program's entry.
#[macro_export]
macro_rules! entry {
    ($main:path) => {
        #[cfg(target_os = "none")]
        #[no_mangle]
        extern "Rust" fn limitless_main() -> u64 {
            $main()
        }
        #[cfg(not(target_os = "none"))]
        fn main() {
            std::process::exit($main() as i32);
        }
    };
}
