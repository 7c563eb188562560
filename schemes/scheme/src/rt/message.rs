//! Message calls: their registers, and what goes through the IPC buffer.

use super::buffer;
use crate::message::{Caps, Incoming, Lend, Outgoing};
use abi::call::Call;
use abi::memory::USER_START;
use abi::message::buffer as layout;
use abi::message::{Extras, LeaseAccess, Received, CAPS, LEASES, WORDS};
use abi::{error, Error, Handle, Result, Rights};

/// What came to a receiver.
#[derive(Debug)]
pub struct Arrival {
    /// A call, a one-way message, bits of a notification, or the end of a session.
    pub kind: Received,
    /// The badge of the session (not for notifications).
    pub badge: u64,
    /// The tag.
    pub tag: u64,
    /// The words; for a notification its bits are word 0.
    pub words: [u64; WORDS],
    /// The caller's account.
    pub account: u64,
    /// Capabilities.
    pub caps: Caps,
    /// Length and access of each lease; `None` from the first that did not come.
    pub leases: [Option<(u64, LeaseAccess)>; LEASES],
}

/// An answer on its way out.
#[derive(Debug, Default)]
pub struct Answer<'a> {
    /// The tag: a status in the scheme protocol.
    pub tag: u64,
    /// The words.
    pub words: [u64; WORDS],
    /// Capabilities, at most 4.
    pub caps: &'a [(Handle, Rights)],
}

struct Registers {
    rdi: u64,
    rsi: u64,
    rdx: u64,
    r8: u64,
}

/// # Safety
///
/// What the IPC buffer lends must be memory that the callee may read or write.
#[cfg(target_os = "none")]
#[inline]
unsafe fn raw(call: Call, registers: &mut Registers, words: &mut [u64; WORDS]) -> u64 {
    let status;
    // SAFETY: (1) rbx and rbp, which the compiler keeps for itself, are pushed and popped round the call; (2) the
    // kernel keeps every register but rax, rcx, r11 and the results, so r9 still points at `words` afterwards; (3) what
    // it does to lent memory is the caller's promise. The stack is used, so no `nostack`.
    unsafe {
        core::arch::asm!(
            "push rbx",
            "push rbp",
            "mov rbx, [r9]",
            "mov rbp, [r9 + 8]",
            "mov r12, [r9 + 16]",
            "mov r13, [r9 + 24]",
            "mov r14, [r9 + 32]",
            "mov r15, [r9 + 40]",
            "syscall",
            "mov [r9], rbx",
            "mov [r9 + 8], rbp",
            "mov [r9 + 16], r12",
            "mov [r9 + 24], r13",
            "mov [r9 + 32], r14",
            "mov [r9 + 40], r15",
            "pop rbp",
            "pop rbx",
            inlateout("rax") call as u64 => status,
            inlateout("rdi") registers.rdi,
            inlateout("rsi") registers.rsi,
            inlateout("rdx") registers.rdx,
            inlateout("r8") registers.r8,
            in("r9") words.as_mut_ptr(),
            lateout("rcx") _,
            lateout("r11") _,
            out("r12") _,
            out("r13") _,
            out("r14") _,
            out("r15") _,
        );
    }
    status
}

/// # Safety
///
/// None needed here.
#[cfg(not(target_os = "none"))]
unsafe fn raw(call: Call, registers: &mut Registers, words: &mut [u64; WORDS]) -> u64 {
    let _ = (call, registers, words);
    u64::from(Error::NoSuchCall.number())
}

fn put_caps(caps: impl Iterator<Item = (Handle, Rights)>) -> usize {
    let mut count = 0;
    for (handle, rights) in caps.take(CAPS) {
        let at = layout::SEND_CAPS + count * layout::SEND_CAP_WORDS;
        buffer::set(at, handle.word() | (u64::from(rights.bits()) << 32));
        buffer::set(at + 1, 0);
        count += 1;
    }
    count
}

fn put_leases(leases: &mut [Lend<'_>]) -> usize {
    let mut count = 0;
    for lend in leases.iter_mut().take(LEASES) {
        let (address, length, access, from) = match lend {
            // An empty slice's address means nothing, and the kernel wants one that could be.
            Lend::Read([]) => (USER_START, 0, LeaseAccess::READ, 0),
            Lend::Write([]) => (USER_START, 0, LeaseAccess::WRITE, 0),
            Lend::Read(data) => (data.as_ptr() as u64, data.len(), LeaseAccess::READ, 0),
            Lend::Write(data) => (data.as_mut_ptr() as u64, data.len(), LeaseAccess::WRITE, 0),
            Lend::PassOn { reply, index, offset, length, access } => {
                let from = reply.word() | (u64::from(*index) << 32);
                (*offset as u64, *length, *access | LeaseAccess::PASS_ON, from)
            }
        };
        let at = layout::SEND_LEASES + count * layout::SEND_LEASE_WORDS;
        buffer::set(at, address);
        buffer::set(at + 1, length as u64);
        buffer::set(at + 2, u64::from(access.bits()));
        buffer::set(at + 3, from);
        count += 1;
    }
    count
}

fn received_caps(extras: Extras) -> Caps {
    let words: [u64; CAPS] =
        core::array::from_fn(|i| if i < extras.caps() { buffer::get(layout::RECEIVED_CAPS + i) } else { 0 });
    let caps = Caps::new(words.map(|word| Handle(word as u32)));
    if words.contains(&layout::DENIED_CAP) {
        caps.partly_denied()
    } else {
        caps
    }
}

fn send_request(call: Call, rdi: u64, r8: u64, request: &mut Outgoing<'_>) -> Result<Incoming> {
    if request.caps.len() > CAPS || request.leases.len() > LEASES {
        return Err(Error::BadArgument);
    }
    let caps = put_caps(request.caps.iter().map(|cap| (cap.handle, cap.rights)));
    let leases = put_leases(&mut request.leases);
    let deadline = request.deadline_ns != 0;
    if deadline {
        buffer::set(layout::DEADLINE, request.deadline_ns);
    }
    let mut words = request.words;
    let extras = Extras::new(caps, leases, deadline);
    let mut registers = Registers { rdi, rsi: request.tag, rdx: extras.0, r8 };
    // SAFETY: (1) leases name slices that `request` borrows, shared for reading, exclusively for writing, for the length
    // of the call; (2) for `open`, `rdi` and `r8` are a string's address and length, checked by the kernel.
    let status = unsafe { raw(call, &mut registers, &mut words) };
    error::check(status)?;
    Ok(Incoming { tag: registers.rsi, words, caps: received_caps(Extras(registers.rdx)) })
}

/// Sends a request on a session and waits for the answer. Errors: the kernel's.
pub fn call(session: Handle, request: &mut Outgoing<'_>) -> Result<Incoming> {
    send_request(Call::Call, session.word(), 0, request)
}

/// The same on the root session that the process's namespace binds to `scheme`. Errors: `NotFound`, the kernel's.
pub fn open(scheme: &str, request: &mut Outgoing<'_>) -> Result<Incoming> {
    send_request(Call::Open, scheme.as_ptr() as u64, scheme.len() as u64, request)
}

/// Sends a one-way message (no leases). Errors: the kernel's.
pub fn send(session: Handle, request: &mut Outgoing<'_>) -> Result<()> {
    if !request.leases.is_empty() {
        return Err(Error::BadArgument);
    }
    send_request(Call::Send, session.word(), 0, request).map(|_| ())
}

/// Waits for the next message at an endpoint; `reply` (free) is bound to it if it is a call. Errors: the kernel's.
pub fn recv(endpoint: Handle, reply: Handle, deadline_ns: u64) -> Result<Arrival> {
    if deadline_ns != 0 {
        buffer::set(layout::DEADLINE, deadline_ns);
    }
    let registers =
        Registers { rdi: endpoint.word(), rsi: 0, rdx: Extras::new(0, 0, deadline_ns != 0).0, r8: reply.word() };
    receive(Call::Recv, registers, [0; WORDS])
}

/// Answers the call `reply` is bound to, then waits for the next message with it. Errors: the kernel's.
pub fn reply_recv(endpoint: Handle, reply: Handle, answer: &Answer<'_>) -> Result<Arrival> {
    let caps = put_caps(answer.caps.iter().copied());
    let registers =
        Registers { rdi: endpoint.word(), rsi: answer.tag, rdx: Extras::new(caps, 0, false).0, r8: reply.word() };
    receive(Call::ReplyRecv, registers, answer.words)
}

fn receive(call: Call, mut registers: Registers, mut words: [u64; WORDS]) -> Result<Arrival> {
    // SAFETY: nothing is lent by a receiver.
    let status = unsafe { raw(call, &mut registers, &mut words) };
    error::check(status)?;
    let extras = Extras(registers.rdx);
    let lease = |i: usize| {
        let at = layout::RECEIVED_LEASES + i * layout::RECEIVED_LEASE_WORDS;
        let access = LeaseAccess::from_bits_truncate(buffer::get(at + 1) as u32);
        (i < extras.leases()).then(|| (buffer::get(at), access))
    };
    Ok(Arrival {
        kind: extras.kind(),
        badge: registers.rdi,
        tag: registers.rsi,
        words,
        account: registers.r8,
        caps: received_caps(extras),
        leases: core::array::from_fn(lease),
    })
}

/// Answers the call `reply` is bound to. Errors: `WrongState` when it is bound to none.
pub fn reply(reply: Handle, answer: &Answer<'_>) -> Result<()> {
    let caps = put_caps(answer.caps.iter().copied());
    let mut registers = Registers { rdi: reply.word(), rsi: answer.tag, rdx: Extras::new(caps, 0, false).0, r8: 0 };
    let mut words = answer.words;
    // SAFETY: nothing is lent with an answer.
    let status = unsafe { raw(Call::Reply, &mut registers, &mut words) };
    error::check(status)
}
