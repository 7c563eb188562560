//! Copies: of memory, of this process.

use super::syscall;
use abi::{Handle, Result};

/// A copy-on-write copy of part of a Memory as it is now, charged to an account.
pub fn memory_clone(memory: Handle, quota: Handle, first_page: u64, pages: u64) -> Result<Handle> {
    // SAFETY: no address of ours; the last argument is the kernel's.
    unsafe { syscall::memory_clone(memory, quota, first_page, pages, 0) }
}

/// Copies the caller's capability table into a process whose table is empty.
pub fn table_clone(process: Handle) -> Result<()> {
    // SAFETY: no address of ours.
    unsafe { syscall::table_clone(process, 0) }
}

/// Starts a process that is a copy of this one: its memory as it is now, copy-on-write, and its capabilities under the same
/// handles (not replies, threads, pins). In it one thread runs `run`; what that answers is the exit code. Answers the process's
/// capability. For programs of one thread: locks that others hold stay locked in the copy. Errors: those of the calls it makes;
/// on the host `NotSupported`.
#[cfg(target_os = "none")]
pub fn fork(quota: Handle, name: &str, priority: u64, run: impl FnOnce() -> u64 + 'static) -> Result<Handle> {
    use super::{calls, memory, thread::STACK};
    use abi::memory::{MemoryFlags, PAGE_SIZE};
    use alloc::boxed::Box;

    let (process, space) = calls::process_create(quota, name, priority, Handle::NONE)?;
    let length = STACK + PAGE_SIZE;
    let made = memory::create(Handle::SELF_QUOTA, length, MemoryFlags::empty()).and_then(|(object, mapping)| {
        calls::close(object);
        let base = mapping.leak() as u64;
        let buffer = base + STACK;
        let run: Box<dyn FnOnce() -> u64> = Box::new(run);
        let argument = Box::into_raw(Box::new(Start { buffer, run }));
        // SAFETY: (1) `space` is a process's that has no thread; (2) stack, buffer and box are copied with the rest, and the
        // copies are the new thread's alone; (3) `begin` takes the copy of the box over, once.
        let started = unsafe {
            table_clone(process)
                .and_then(|()| syscall::space_clone(Handle::SELF_SPACE, space, 0))
                // A function expects the stack 8 off 16, as after a call.
                .and_then(|()| {
                    let entry = begin as extern "C" fn(*mut Start) -> ! as usize as u64;
                    syscall::thread_create(process, entry, buffer - 8, argument as u64, buffer, priority)
                })
        };
        // SAFETY: ours is not needed any more: the copy has its own.
        unsafe {
            drop(Box::from_raw(argument));
            let _ = syscall::space_unmap(Handle::SELF_SPACE, base, length);
        }
        started
    });
    calls::close(space);
    match made {
        Ok(thread) => {
            calls::close(thread);
            Ok(process)
        }
        Err(error) => {
            let _ = calls::process_kill(process, 0);
            calls::close(process);
            Err(error)
        }
    }
}

/// Starts a copy of this process. On the host: `NotSupported`.
#[cfg(not(target_os = "none"))]
pub fn fork(quota: Handle, name: &str, priority: u64, run: impl FnOnce() -> u64 + 'static) -> Result<Handle> {
    let _ = (quota, name, priority, run);
    Err(abi::Error::NotSupported)
}

#[cfg(target_os = "none")]
struct Start {
    buffer: u64,
    run: alloc::boxed::Box<dyn FnOnce() -> u64>,
}

#[cfg(target_os = "none")]
extern "C" fn begin(start: *mut Start) -> ! {
    use super::buffer;
    // SAFETY: `fork` made it with Box::into_raw, and this copy of it is this thread's alone.
    let start = unsafe { alloc::boxed::Box::from_raw(start) };
    let Start { buffer: page, run } = *start;
    // SAFETY: the page is this thread's IPC buffer, used by nothing else; FS is still free.
    unsafe {
        (page as *mut u64).add(buffer::SELF).write_volatile(page);
        let _ = syscall::thread_set_fs_base(page);
    }
    let code = run();
    loop {
        // SAFETY: nothing of this process is needed any more.
        let _ = unsafe { syscall::process_exit(code) };
    }
}
