//! More threads: a stack with a guard page, an IPC buffer, a start.

use abi::{Handle, Result};
use alloc::sync::Arc;
use spin::Mutex;

/// Bytes of stack a thread gets.
pub const STACK: u64 = 256 * 1024;

/// A thread that was started; join it for what it returned.
#[derive(Debug)]
pub struct Thread<T> {
    result: Arc<Mutex<Option<T>>>,
    ended: Handle,
    thread: Handle,
    #[cfg(target_os = "none")]
    stack: (u64, u64),
}

/// Starts a thread at the priority of its process's limit or `priority`, whichever is less. Errors: the kernel's.
#[cfg(target_os = "none")]
pub fn spawn<T: Send + 'static>(priority: u64, run: impl FnOnce() -> T + Send + 'static) -> Result<Thread<T>> {
    use super::{calls, memory, syscall};
    use abi::memory::{MemoryFlags, PAGE_SIZE};
    use alloc::boxed::Box;

    let result = Arc::new(Mutex::new(None));
    let ended = calls::notification_create(Handle::SELF_QUOTA)?;
    // Guard page, stack, IPC buffer, in one piece; then the guard page is taken out.
    let length = PAGE_SIZE + STACK + PAGE_SIZE;
    let (object, mapping) = memory::create(Handle::SELF_QUOTA, length, MemoryFlags::empty())?;
    calls::close(object);
    let base = mapping.leak() as u64;
    let buffer = base + PAGE_SIZE + STACK;
    let slot = result.clone();
    let start: Box<Start> = Box::new(Start {
        buffer,
        ended,
        run: Box::new(move || {
            let value = run();
            *slot.lock() = Some(value);
        }),
    });
    let argument = Box::into_raw(start);
    // SAFETY: (1) the guard page was mapped just above and nothing uses it; (2) stack and buffer are the new thread's
    // alone; (3) `begin` takes the box over, once.
    let started = unsafe {
        syscall::space_unmap(Handle::SELF_SPACE, base, PAGE_SIZE)
            // A function expects the stack 8 off 16, as after a call.
            .and_then(|()| {
                let entry = begin as extern "C" fn(*mut Start) -> ! as usize as u64;
                let own = Handle::SELF_PROCESS;
                syscall::thread_create(own, entry, buffer - 8, argument as u64, buffer, priority)
            })
    };
    match started {
        Ok(thread) => Ok(Thread { result, ended, thread, stack: (base, length) }),
        Err(error) => {
            // SAFETY: the thread never started, so box and memory are still ours.
            unsafe {
                drop(Box::from_raw(argument));
                let _ = syscall::space_unmap(Handle::SELF_SPACE, base, length);
            }
            calls::close(ended);
            Err(error)
        }
    }
}

/// Starts a thread. On the host: `NotSupported`.
#[cfg(not(target_os = "none"))]
pub fn spawn<T: Send + 'static>(priority: u64, run: impl FnOnce() -> T + Send + 'static) -> Result<Thread<T>> {
    let _ = (priority, run);
    Err(abi::Error::NotSupported)
}

#[cfg(target_os = "none")]
struct Start {
    buffer: u64,
    ended: Handle,
    run: alloc::boxed::Box<dyn FnOnce() + Send>,
}

#[cfg(target_os = "none")]
extern "C" fn begin(start: *mut Start) -> ! {
    use super::{buffer, calls, syscall};
    // SAFETY: `spawn` made it with Box::into_raw and gave it to this thread alone.
    let start = unsafe { alloc::boxed::Box::from_raw(start) };
    let Start { buffer: page, ended, run } = *start;
    // SAFETY: the page is this thread's IPC buffer, used by nothing else; FS is still free.
    unsafe {
        (page as *mut u64).add(buffer::SELF).write_volatile(page);
        let _ = syscall::thread_set_fs_base(page);
    }
    run();
    let _ = calls::notify(ended, 1);
    loop {
        // SAFETY: nothing on this stack is needed any more.
        let _ = unsafe { syscall::thread_exit() };
    }
}

impl<T> Thread<T> {
    /// Waits for the thread's end and takes what it returned. Errors: `TimedOut`, `Closed` if it ended without.
    pub fn join(self, deadline_ns: u64) -> Result<T> {
        super::calls::wait(self.ended, deadline_ns)?;
        let value = self.result.lock().take().ok_or(abi::Error::Closed);
        super::calls::close(self.ended);
        super::calls::close(self.thread);
        // Its stack is left alone: the thread may still be on its way out of its last call there.
        #[cfg(target_os = "none")]
        let _ = self.stack;
        value
    }

    /// The thread's capability.
    pub fn handle(&self) -> Handle {
        self.thread
    }
}
