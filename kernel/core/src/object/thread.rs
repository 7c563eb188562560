//! A thread: registers, an IPC buffer, a priority, and what it waits for.

use super::{Endpoint, Header, ListLinks, Notification, Process, Reply, Session, TreeLinks};
use crate::address::FrameNumber;
use crate::field::Field;
use crate::field_enum;
use crate::id::Link;

field_enum! {
    /// What a thread is doing.
    pub enum ThreadState {
        /// Not started, or ended.
        Inactive = 0,
        /// In a run queue.
        Ready = 1,
        /// On a processor.
        Running = 2,
        /// Its call or send waits in the endpoint's queue.
        Sending = 3,
        /// Its call was received; a reply object is bound to it.
        AwaitingReply = 4,
        /// It waits in an endpoint's queue of receivers.
        Receiving = 5,
        /// It waits on a notification.
        Waiting = 6,
        /// It waits for a time.
        Sleeping = 7,
    }
}

/// The registers of a thread that is not running. The layout is read by `kernel/arch`.
#[repr(C)]
pub struct Registers {
    /// rax.
    pub rax: Field<u64>,
    /// rdi.
    pub rdi: Field<u64>,
    /// rsi.
    pub rsi: Field<u64>,
    /// rdx.
    pub rdx: Field<u64>,
    /// r8.
    pub r8: Field<u64>,
    /// r9.
    pub r9: Field<u64>,
    /// r10.
    pub r10: Field<u64>,
    /// rcx (lost by `syscall`, kept over interrupts).
    pub rcx: Field<u64>,
    /// r11 (likewise).
    pub r11: Field<u64>,
    /// The six message registers: rbx, rbp, r12, r13, r14, r15.
    pub words: [Field<u64>; 6],
    /// Program counter.
    pub rip: Field<u64>,
    /// Stack pointer.
    pub rsp: Field<u64>,
    /// Flags.
    pub rflags: Field<u64>,
    /// 0: entered by `syscall` (rcx and r11 need not be restored); 1: by an interrupt or a fault.
    pub full_frame: Field<u64>,
    /// FS base.
    pub fs_base: Field<u64>,
}

/// A thread. References: its capabilities, and its process while it lives.
#[repr(C, align(512))]
pub struct Thread {
    /// Registers first: the entry code finds them at the thread's address.
    pub registers: Registers,
    /// Common to all objects.
    pub header: Header,
    /// Its process (a reference).
    pub process: Field<Link<Process>>,
    /// Cached: the root of its address space.
    pub root: Field<FrameNumber>,
    /// Cached: the first entry of its process's capability table in the arena.
    pub table_base: Field<u32>,
    /// What it is doing.
    pub state: Field<ThreadState>,
    /// The priority it was given.
    pub base_priority: Field<u8>,
    /// The priority it has now, with what it inherits.
    pub priority: Field<u8>,
    /// Whether it was cancelled while it could not be.
    pub cancelled: Field<bool>,
    /// Its place in a run queue, a queue of receivers, or a notification's queue.
    pub queue: ListLinks,
    /// Its place in an endpoint's queue of senders.
    pub sending: TreeLinks,
    /// Its place in the tree of deadlines; key 0: not in it.
    pub deadline: TreeLinks,
    /// Its place among its process's threads.
    pub in_process: ListLinks,
    /// The endpoint it sends to or receives from (a reference while set).
    pub endpoint: Field<Link<Endpoint>>,
    /// The session it sends through (a reference while set).
    pub session: Field<Link<Session>>,
    /// The notification it waits on (a reference while set).
    pub notification: Field<Link<Notification>>,
    /// Receiving: the free reply object to bind. AwaitingReply: the one bound to its call.
    pub reply: Field<Link<Reply>>,
    /// Sending: whether an answer is wanted (`call`) or not (`send`).
    pub wants_reply: Field<bool>,
    /// The frame of its IPC buffer (a reference to the frame), or 0.
    pub buffer: Field<FrameNumber>,
    /// The frame of its FPU state.
    pub fpu: Field<FrameNumber>,
    /// When it was last put on a processor.
    pub started_ns: Field<u64>,
    /// Nanoseconds of its time slice used.
    pub slice_ns: Field<u64>,
}
