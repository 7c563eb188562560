//! Upcalls: a function of the program that runs whatever its thread is doing.
//!
//! The kernel leaves a [`Frame`] and begins at a trampoline, which calls the handler and goes back through `upcall_return`. What
//! the interrupted code had in its IPC buffer is put aside meanwhile, so a handler may send messages. Programs of this
//! library are compiled without SSE, and so are their handlers; a runtime whose programs use it saves that state in a
//! trampoline of its own (`xsave` to the upcall's stack, before any compiled code).

use abi::thread::{Frame, Interrupted};
use abi::Result;

/// Bytes of stack for upcalls that [`handle`] makes.
pub const STACK: u64 = 64 * 1024;

/// What an upcall tells its handler.
#[derive(Debug)]
pub struct Upcall<'a> {
    frame: &'a mut Frame,
}

impl Upcall<'_> {
    /// The bits that were sent, and `abi::thread::UPCALL_FAULT`.
    pub fn bits(&self) -> u64 {
        self.frame.bits
    }

    /// What it interrupted.
    pub fn interrupted(&self) -> Interrupted {
        Interrupted::from_number(self.frame.interrupted).unwrap_or(Interrupted::Nothing)
    }

    /// For a fault: vector, code, address.
    pub fn fault(&self) -> [u64; 3] {
        [self.frame.vector, self.frame.code, self.frame.address]
    }

    /// The interrupted registers, as they will be again.
    pub fn frame(&self) -> &Frame {
        self.frame
    }

    /// The same, to be changed.
    ///
    /// # Safety
    ///
    /// The interrupted code goes on with what is written here: it has to be what that code can bear.
    pub unsafe fn frame_mut(&mut self) -> &mut Frame {
        self.frame
    }
}

/// What runs in an upcall. It can run between any two instructions of its thread: it takes no lock that the thread may hold
/// (allocating takes one), and it does not panic.
pub type Handler = fn(&mut Upcall<'_>);

/// Has upcalls of the calling thread run `handler`, on a stack made for them (and kept), with faults of its own among them or
/// not. One handler a process: the last that was set. Errors: the kernel's.
#[cfg(target_os = "none")]
pub fn handle(handler: Handler, flags: u64) -> Result<()> {
    use super::{calls, memory, syscall};
    use abi::memory::MemoryFlags;
    use abi::Handle;

    let (object, mapping) = memory::create(Handle::SELF_QUOTA, STACK, MemoryFlags::empty())?;
    calls::close(object);
    place::set(handler);
    let stack = mapping.leak() as u64;
    // SAFETY: the stack is mapped for good and nobody else's, and the entry is the trampoline below.
    unsafe { syscall::upcall_handler(place::limitless_upcall as *const () as u64, stack, STACK, flags) }
}

/// On the host there are no upcalls: `NotSupported`.
#[cfg(not(target_os = "none"))]
pub fn handle(handler: Handler, flags: u64) -> Result<()> {
    let _ = (handler, flags);
    Err(abi::Error::NotSupported)
}

#[cfg(target_os = "none")]
mod place {
    use super::{Frame, Handler, Upcall};
    use crate::rt::buffer;
    use abi::call::Call;
    use abi::message::buffer::SCRATCH;
    use core::sync::atomic::{AtomicUsize, Ordering};

    static HANDLER: AtomicUsize = AtomicUsize::new(0);

    pub(super) fn set(handler: Handler) {
        HANDLER.store(handler as usize, Ordering::Release);
    }

    core::arch::global_asm!(
        ".global limitless_upcall",
        ".type limitless_upcall, @function",
        "limitless_upcall:",
        // rdi: bits; rsi: the frame, at rsp, which is a multiple of 16. All registers stand in the frame; rbx keeps its
        // address over the call. Frames of the backtrace end here.
        "mov rbx, rsi",
        "mov rdi, rsi",
        "xor ebp, ebp",
        "call {run}",
        "mov rdi, rbx",
        "mov eax, {back}",
        "syscall",
        // It answers only where the frame was spoiled.
        "ud2",
        run = sym run,
        back = const Call::UpcallReturn as u64,
    );

    extern "C" {
        pub(super) fn limitless_upcall();
    }

    extern "C" fn run(frame: *mut Frame) {
        let handler = HANDLER.load(Ordering::Acquire);
        // SAFETY: only `set` stores there, a `Handler`, before the kernel knows the trampoline.
        let handler = unsafe { core::mem::transmute::<usize, Handler>(handler) };
        // SAFETY: the kernel has just written the frame, above everything that uses this stack, and the trampoline lends
        // it once.
        let frame = unsafe { &mut *frame };
        let mut before = [0; SCRATCH];
        for (i, word) in before.iter_mut().enumerate() {
            *word = buffer::get(i);
        }
        handler(&mut Upcall { frame });
        for (i, word) in before.into_iter().enumerate() {
            buffer::set(i, word);
        }
    }
}
