//! A thread: registers, an IPC buffer, a priority, and what it waits for.

use super::{Endpoint, EventQueue, Header, Lease, ListLinks, Memory, Notification, Process, Reply, Session, TreeLinks};
use crate::field_enum;
use crate::fields;
use crate::{CpuId, Field, FrameNumber, Link};

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
        /// It waits for a page of memory that has a pager.
        Paging = 8,
        /// It waits at a futex word.
        FutexWaiting = 9,
        /// It waits on an event queue.
        Polling = 10,
        /// It could run, but is suspended.
        Suspended = 11,
    }
}

fields! {
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
///
/// What the message path touches stands first, so that it touches few cache lines. `endpoint`, `session`,
/// `reply` and `notification` mean something only in the states that say so; they are no references,
/// unless said: an object that ends lets go of those who wait at it.
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
    /// Cached: how many entries of it are backed, at least. (They stay so while the process lives.)
    pub table_entries: Field<u32>,
    /// What it is doing.
    pub state: Field<ThreadState>,
    /// The priority it was given.
    pub base_priority: Field<u8>,
    /// The priority it has now, with what it inherits.
    pub priority: Field<u8>,
    /// The processor it runs on, is ready for, or ran on last.
    pub cpu: Field<CpuId>,
    /// The processors it may run on, a bit each; 0: all.
    pub affinity: Field<u64>,
    /// Sending: whether an answer is wanted (`call`) or not (`send`).
    pub wants_reply: Field<bool>,
    /// Cached: the account of its process, told to servers with each message.
    pub account: Field<u64>,
    /// Root of the tree of replies bound by its receives and not answered yet (`Reply::donating`): their
    /// callers lend it their priorities.
    pub donors: Field<u32>,
    /// The endpoint whose queue lends it its priority: the one it received from last (`Endpoint::server`).
    pub serving: Field<Link<Endpoint>>,
    /// Receiving: the free reply object to bind. AwaitingReply: the one bound to its call.
    pub reply: Field<Link<Reply>>,
    /// Sending, Receiving: where.
    pub endpoint: Field<Link<Endpoint>>,
    /// Its place in a run queue, a queue of receivers, or a notification's queue.
    pub queue: ListLinks,
    /// Its place in the tree of deadlines; level 0: not in it.
    pub deadline: TreeLinks,
    /// The processor whose tree that is.
    pub deadline_cpu: Field<CpuId>,
    /// Its place in an endpoint's queue of senders. FutexWaiting: in `Memory::futexes`, or `waits_more` of who is there.
    pub sending: TreeLinks,
    /// Sending: the session it sends through (a reference).
    pub session: Field<Link<Session>>,
    /// Waiting: the notification.
    pub notification: Field<Link<Notification>>,
    /// Its place among its process's threads.
    pub in_process: ListLinks,
    /// The frame of its IPC buffer (a reference to the frame), or 0.
    pub buffer: Field<FrameNumber>,
    /// The frame of its FPU state.
    pub fpu: Field<FrameNumber>,
    /// Nanoseconds of its time slice used when it was last preempted.
    pub slice_ns: Field<u64>,
    /// Sending: capabilities to send, as they were read from its IPC buffer.
    pub send_caps: [Field<u64>; 4],
    /// Sending: leases made for its call, not bound to a reply yet.
    pub send_leases: [Field<Link<Lease>>; 4],
    /// Sending: how many capabilities.
    pub send_cap_count: Field<u8>,
    /// Sending: how many leases.
    pub send_lease_count: Field<u8>,
    /// Whether it is suspended, whatever else it does.
    pub suspended: Field<bool>,
    /// Whether what it sends, or waits for the answer to, is a fault of its own.
    pub faulting: Field<bool>,
    /// What the next upcall interrupts: a number of `abi::thread::Interrupted`.
    pub upcall_interrupts: Field<u8>,
    /// Whether its faults can be upcalls.
    pub upcall_faults: Field<bool>,
    /// Whether upcalls are held back: by itself, or because one runs.
    pub upcall_masked: Field<bool>,
    /// Paging: whether it wants to write.
    pub paging_write: Field<bool>,
    /// Paging: whether it is in `Endpoint::requests`.
    pub paging_listed: Field<bool>,
    /// Paging, and in that list: how urgent the most urgent of those is for whom it asks.
    pub paging_urgency: Field<u8>,
    /// Paging: whether it was in a call, which it makes again; else it retries its access.
    pub paging_call: Field<bool>,
    /// Polling: the queue. In other states: the queue that woke it, until it comes back for the event.
    pub event_queue: Field<Link<EventQueue>>,
    /// Its place in `EventQueue::woken`.
    pub woken: ListLinks,
    /// What it waits at through a capability: which one (raw id; 0: none, or `via_list` says it).
    pub via: Field<u32>,
    /// The capability in whose `Cap::uses` it is (raw id; 0: none).
    pub via_list: Field<u32>,
    /// Whether it came there from a child that was closed.
    pub via_inherited: Field<bool>,
    /// Whether it is there for its parked call, not for what it waits at.
    pub via_parked: Field<bool>,
    /// Its place there.
    pub in_via: ListLinks,
    /// Bits of upcalls that were not made yet.
    pub upcall_bits: Field<u64>,
    /// Its upcall handler; 0: none.
    pub upcall_entry: Field<u64>,
    /// One past the stack that upcalls run on; 0: the one in use.
    pub upcall_stack: Field<u64>,
    /// Bytes of that stack.
    pub upcall_stack_length: Field<u64>,
    /// The call that was in flight when an upcall began.
    pub parked: Field<Link<Parked>>,
    /// The session that its faults are told through (a reference).
    pub fault_session: Field<Link<Session>>,
    /// Its place in `Session::faulters`.
    pub in_faulters: ListLinks,
    /// The capability that session was named by (raw id; 0: none, or it was closed without a parent).
    pub fault_via: Field<u32>,
    /// Whether it came to that capability from a child that was closed.
    pub fault_via_inherited: Field<bool>,
    /// Its last fault that was told or is to be told: vector, code, address.
    pub fault: [Field<u64>; 3],
    /// Paging, FutexWaiting: the memory object.
    pub waits_in: Field<Link<Memory>>,
    /// Paging: the page. FutexWaiting: the byte offset of the word.
    pub waits_at: Field<u64>,
    /// FutexWaiting: its turn among those at the same word: key = (255 − priority) << 56 | arrival.
    pub waits_turn: Field<u64>,
    /// FutexWaiting, first at its word: root of the tree of the others there (`sending`), keyed by turn.
    pub waits_more: Field<u32>,
}

/// A call in flight whose thread runs an upcall meanwhile. Made with the handler, so that an upcall needs no memory.
#[repr(C, align(128))]
pub struct Parked {
    /// The reply object bound to the call; none: it was answered, or nothing is parked here.
    pub reply: Field<Link<Reply>>,
    /// Whether something is parked here.
    pub is_used: Field<bool>,
    /// Whether the answer is here.
    pub is_answered: Field<bool>,
    /// What it was made through, as `Thread::via` says it.
    pub via: Field<u32>,
    /// The thread's deadline for it; 0: none.
    pub deadline_ns: Field<u64>,
    /// The answer: status, tag, extras.
    pub status: Field<u64>,
    /// See `status`.
    pub tag: Field<u64>,
    /// See `status`.
    pub extras: Field<u64>,
    /// The answer's words.
    pub words: [Field<u64>; 6],
    /// The answer's capabilities as the IPC buffer tells them.
    pub caps: [Field<u64>; 4],
}
}
