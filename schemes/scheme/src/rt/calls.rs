//! Kernel calls, safe and typed: all that can't hurt the caller's own memory.
//!
//! Each is named after its row in [`abi::call`] and answers the row's errors. What touches the caller's own
//! mappings is in [`memory`](super::memory), messages in [`message`](super::message).

use super::syscall::{self, raw};
use abi::call::Call;
use abi::fault::{FaultReport, REPORT_WORDS};
use abi::memory::{MemoryFlags, Protection};
use abi::start::{CAPABILITY_INFO_WORDS, PROCESS_INFO_WORDS};
use abi::{error, Error, Handle, Kind, Result, Rights};
use alloc::string::String;
use alloc::vec::Vec;

/// Declares safe forms of rows that take no address.
macro_rules! plain {
    ($($(#[doc = $doc:literal])+ $name:ident($($arg:ident: $kind:ty),*) -> $result:ty;)+) => { $(
        $(#[doc = $doc])+
        pub fn $name($($arg: $kind),*) -> Result<$result> {
            // SAFETY: the row takes no address of the caller's.
            unsafe { syscall::$name($($arg),*) }
        }
    )+ };
}

plain! {
    /// Sets bits in a notification.
    notify(notification: Handle, bits: u64) -> ();
    /// Waits until bits are set; takes and clears them. Deadline 0: for ever.
    wait(notification: Handle, deadline_ns: u64) -> u64;
    /// Makes a child account of `limit_pages` of its parent's.
    quota_split(quota: Handle, limit_pages: u64, flags: u64) -> Handle;
    /// An account's limit, pages used, live processes.
    quota_info(quota: Handle) -> (u64, u64, u64);
    /// The process with the next higher id in an account.
    quota_process(quota: Handle, after: u64) -> u64;
    /// A capability to such a process.
    quota_open(quota: Handle, process_id: u64) -> Handle;
    /// A capability to the account that a process is charged to, to look at it.
    process_quota(process: Handle) -> Handle;
    /// Makes an endpoint.
    endpoint_create(quota: Handle) -> Handle;
    /// Makes a session with a badge never used on this endpoint.
    session_create(endpoint: Handle, badge: u64, object_type: u64) -> Handle;
    /// Acknowledges the end of a session.
    session_acknowledge(endpoint: Handle, badge: u64) -> ();
    /// The session with the next higher badge, and whether it ended (1).
    session_next(endpoint: Handle, after: u64) -> (u64, u64);
    /// Makes a reply object.
    reply_create(quota: Handle) -> Handle;
    /// Makes a notification.
    notification_create(quota: Handle) -> Handle;
    /// Delivers a notification's bits to receivers of an endpoint too.
    notification_bind(notification: Handle, endpoint: Handle) -> ();
    /// Sets bits at a time; 0 disarms.
    timer_set(notification: Handle, bits: u64, deadline_ns: u64, slack_ns: u64) -> ();
    /// Makes an empty namespace.
    namespace_create(quota: Handle) -> Handle;
    /// Length, resident pages and flags of a Memory.
    memory_info(memory: Handle) -> (u64, u64, u64);
    /// Ends a process.
    process_kill(process: Handle, code: u64) -> ();
    /// State, exit code (or vector) and id of a process: see [`crate::process::Status`].
    process_status(process: Handle) -> (u64, u64, u64);
    /// Sets bits in a notification when a process has ended.
    process_watch(process: Handle, notification: Handle, bits: u64) -> ();
    /// A capability to a process's namespace.
    process_namespace(process: Handle) -> Handle;
    /// Changes a thread's priority.
    thread_priority(thread: Handle, priority: u64) -> ();
    /// Binds a thread to processors, a bit each; 0: to none in particular.
    thread_affinity(thread: Handle, mask: u64) -> ();
    /// Cancels the wait or call a thread is in.
    thread_cancel(thread: Handle) -> ();
    /// Stops a thread until it is resumed.
    thread_suspend(thread: Handle) -> ();
    /// Lets a suspended thread go on.
    thread_resume(thread: Handle) -> ();
    /// Has a thread run its upcall handler.
    thread_upcall(thread: Handle, bits: u64) -> ();
    /// Holds the calling thread's upcalls back (1) or not (0); what it was before.
    upcall_mask(masked: u64) -> u64;
    /// Sends a thread's faults as calls through a session; `Handle::NONE`: its process ends with a report.
    thread_fault_handler(thread: Handle, session: Handle) -> ();
    /// Lets others of the same priority run.
    thread_yield() -> ();
    /// Ids of the calling thread and its process.
    thread_id() -> (u64, u64);
    /// Nanoseconds since boot.
    clock() -> u64;
    /// Waits until a time.
    sleep(deadline_ns: u64) -> ();
    /// One interrupt of a range: the capability, and for a message its address and data.
    interrupt_allocate(root: Handle, line: u64, flags: u64) -> (Handle, u64, u64);
    /// Sets bits in a notification at each interrupt.
    interrupt_bind(interrupt: Handle, notification: Handle, bits: u64) -> ();
    /// Lets a line interrupt again.
    interrupt_acknowledge(interrupt: Handle) -> ();
    /// Makes a device's view of memory, with a tag to find it by (0: none).
    domain_create(root: Handle, quota: Handle, tag: u64) -> Handle;
    /// A capability to the view of memory with this tag.
    domain_open(root: Handle, tag: u64) -> Handle;
    /// Frees the frames that a dead driver's pins hold: the device is stopped.
    domain_release(domain: Handle) -> ();
    /// Sets bits in a notification at each fault report.
    system_watch(system: Handle, notification: Handle, bits: u64) -> ();
    /// Stops the machine, or leaves the serial port to its driver.
    system_control(system: Handle, what: u64, value: u64) -> ();
    /// Reads 1, 2 or 4 bytes from a port.
    port_read(ports: Handle, port: u64, width: u64) -> u64;
    /// Writes 1, 2 or 4 bytes to a port.
    port_write(ports: Handle, port: u64, width: u64, value: u64) -> ();
}

/// Gives a capability up. A handle that names nothing is no matter.
pub fn close(handle: Handle) {
    if !handle.is_none() && !handle.is_pseudo() {
        // SAFETY: no address; mappings keep their memory.
        let _ = unsafe { syscall::close(handle) };
    }
}

/// Makes a child capability with at most these rights.
pub fn derive(handle: Handle, rights: Rights) -> Result<Handle> {
    derive_range(handle, rights, 0, 0)
}

/// The same, of a part of a range (or with a new badge). Length 0: the same range.
pub fn derive_range(handle: Handle, rights: Rights, start: u64, length: u64) -> Result<Handle> {
    // SAFETY: no address.
    unsafe { syscall::derive(handle, u64::from(rights.bits()), start, length) }
}

/// Removes every descendant of a capability, however long it takes.
pub fn revoke(handle: Handle) -> Result<()> {
    loop {
        // SAFETY: no address.
        match unsafe { syscall::revoke(handle) } {
            Err(Error::Retry) => {}
            other => return other,
        }
    }
}

/// Kind, rights, badge (or range) and object id of what a handle names.
pub fn inspect(handle: Handle) -> Result<(Kind, Rights, u64, u64)> {
    // SAFETY: no address.
    let (shape, badge, object) = unsafe { syscall::inspect(handle) }?;
    let kind = Kind::from_number(shape as u8).ok_or(Error::Corrupt)?;
    Ok((kind, Rights::from_bits_truncate((shape >> 8) as u16), badge, object))
}

/// Binds a name to a root session; `Handle::NONE` unbinds.
pub fn namespace_bind(namespace: Handle, name: &str, session: Handle) -> Result<()> {
    // SAFETY: the kernel reads `name`, which lives through the call.
    unsafe { syscall::namespace_bind(namespace, name.as_ptr() as u64, name.len() as u64, session) }
}

/// A capability to the root session bound to a name.
pub fn namespace_session(namespace: Handle, name: &str) -> Result<Handle> {
    // SAFETY: as in `namespace_bind`.
    unsafe { syscall::namespace_session(namespace, name.as_ptr() as u64, name.len() as u64) }
}

/// The name at an index. Errors: `NotFound` at the end.
pub fn namespace_entry(namespace: Handle, index: u64) -> Result<String> {
    let mut name = [0; 64];
    // SAFETY: the kernel writes at most 64 bytes of `name`.
    let length = unsafe { syscall::namespace_entry(namespace, index, name.as_mut_ptr() as u64, 64) }?;
    let name = name.get(..length as usize).ok_or(Error::Corrupt)?;
    core::str::from_utf8(name).map(String::from).map_err(|_| Error::Corrupt)
}

/// Makes a Memory of whole pages.
pub fn memory_create(quota: Handle, length_pages: u64, flags: MemoryFlags) -> Result<Handle> {
    // SAFETY: no address.
    unsafe { syscall::memory_create(quota, length_pages, u64::from(flags.bits()), 0) }
}

/// Copies out of a Memory; all of `out` or an error.
pub fn memory_read(memory: Handle, offset: u64, out: &mut [u8]) -> Result<()> {
    memory_copy(Call::MemoryRead, memory, offset, out.as_mut_ptr() as u64, out.len())
}

/// Copies into a Memory; all of `data` or an error.
pub fn memory_write(memory: Handle, offset: u64, data: &[u8]) -> Result<()> {
    memory_copy(Call::MemoryWrite, memory, offset, data.as_ptr() as u64, data.len())
}

fn memory_copy(call: Call, memory: Handle, offset: u64, address: u64, length: usize) -> Result<()> {
    let mut done = 0;
    while done < length {
        let at = done as u64;
        let args =
            [memory.word(), offset.checked_add(at).ok_or(Error::BadArgument)?, address + at, length as u64 - at, 0, 0];
        // SAFETY: address and length are those of a slice that the caller borrows as the call needs it.
        let (status, [count, ..]) = unsafe { raw(call, args) };
        error::check(status)?;
        if count == 0 {
            return Err(Error::BadArgument);
        }
        done += usize::try_from(count).unwrap_or(usize::MAX).min(length - done);
    }
    Ok(())
}

/// Maps part of a Memory into *another* process's space. Errors: `BadArgument` for one's own (that is
/// [`memory::map`](super::memory::map)), the row's.
pub fn space_map(space: Handle, memory: Handle, at: u64, offset: u64, length: u64, access: Protection) -> Result<u64> {
    if space == Handle::SELF_SPACE {
        return Err(Error::BadArgument);
    }
    // SAFETY: another space: nothing of ours is replaced. (A handle to one's own space is only had by asking for it
    // through one's own Process capability, which the spawner holds and nobody else.)
    unsafe { syscall::space_map(space, memory, at, offset, length, u64::from(access.bits())) }
}

/// Makes an empty process: handles to it and to its space.
pub fn process_create(quota: Handle, name: &str, priority_limit: u64, namespace: Handle) -> Result<(Handle, Handle)> {
    // SAFETY: the kernel reads `name`, which lives through the call.
    unsafe { syscall::process_create(quota, name.as_ptr() as u64, name.len() as u64, priority_limit, namespace) }
}

/// Derives a capability into another process's table; the handle it has there.
pub fn process_grant(process: Handle, handle: Handle, rights: Rights) -> Result<Handle> {
    // SAFETY: no address.
    unsafe { syscall::process_grant(process, handle, u64::from(rights.bits())) }
}

/// Starts a thread of *another* process. Errors: `BadArgument` for one's own (that is
/// [`thread::spawn`](super::thread::spawn)), the row's.
pub fn thread_create(
    process: Handle,
    entry: u64,
    stack: u64,
    argument: u64,
    buffer: u64,
    priority: u64,
) -> Result<Handle> {
    if process == Handle::SELF_PROCESS {
        return Err(Error::BadArgument);
    }
    // SAFETY: another process: what it runs can't hurt this one's memory.
    unsafe { syscall::thread_create(process, entry, stack, argument, buffer, priority) }
}

/// Ends the calling process.
pub fn exit(code: u64) -> ! {
    #[cfg(target_os = "none")]
    loop {
        // SAFETY: no address; nothing of this process runs afterwards.
        let _ = unsafe { syscall::process_exit(code) };
    }
    #[cfg(not(target_os = "none"))]
    std::process::exit(code as i32)
}

/// What the kernel tells of a process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProcessInfo {
    /// Its id.
    pub id: u64,
    /// 0 running, else as [`process_status`].
    pub state: u64,
    /// Exit code or vector.
    pub code: u64,
    /// Threads.
    pub threads: u64,
    /// Pages used.
    pub pages: u64,
    /// Entries in its capability table.
    pub capabilities: u64,
    /// Its priority limit.
    pub priority_limit: u64,
    /// Nanoseconds it ran.
    pub run_ns: u64,
    /// Its name.
    pub name: String,
    /// Its subject label.
    pub label: u32,
}

/// Tells of a process.
pub fn process_info(process: Handle) -> Result<ProcessInfo> {
    let mut words = [0u64; PROCESS_INFO_WORDS];
    // SAFETY: the kernel writes PROCESS_INFO_WORDS words.
    unsafe { syscall::process_info(process, words.as_mut_ptr() as u64) }?;
    let [id, state, code, threads, pages, capabilities, priority_limit, run_ns, name @ .., label] = words;
    let bytes: Vec<u8> = name.iter().flat_map(|word| word.to_le_bytes()).take_while(|&b| b != 0).collect();
    let name = String::from_utf8_lossy(&bytes).into_owned();
    Ok(ProcessInfo { id, state, code, threads, pages, capabilities, priority_limit, run_ns, name, label: label as u32 })
}

/// One entry of a process's capability table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CapabilityInfo {
    /// The handle it has there.
    pub handle: Handle,
    /// Its kind.
    pub kind: Kind,
    /// Its rights.
    pub rights: Rights,
    /// Badge or range.
    pub badge: u64,
    /// The object.
    pub object: u64,
    /// Its parent entry if that is in the same table, or `NONE`.
    pub parent: Handle,
    /// The process that holds the parent.
    pub parent_process: u64,
    /// Messages sent through it.
    pub messages: u64,
    /// The process it came from; 0: its holder made it.
    pub origin: u64,
    /// A session's object type.
    pub object_type: u64,
}

/// The first entry at or after `index`, and where to go on. Errors: `NotFound` at the end.
pub fn process_capability(process: Handle, index: u64) -> Result<(CapabilityInfo, u64)> {
    let mut words = [0u64; CAPABILITY_INFO_WORDS];
    // SAFETY: the kernel writes CAPABILITY_INFO_WORDS words.
    let next = unsafe { syscall::process_capability(process, index, words.as_mut_ptr() as u64) }?;
    let [handle, shape, badge, object, parent, parent_process, messages, origin, object_type] = words;
    let info = CapabilityInfo {
        handle: Handle(handle as u32),
        kind: Kind::from_number(shape as u8).ok_or(Error::Corrupt)?,
        rights: Rights::from_bits_truncate((shape >> 8) as u16),
        badge,
        object,
        parent: Handle(parent as u32),
        parent_process,
        messages,
        origin,
        object_type,
    };
    Ok((info, next))
}

/// Puts a line into the log.
pub fn log_write(log: Handle, line: &[u8]) -> Result<()> {
    // SAFETY: the kernel reads `line`.
    unsafe { syscall::log_write(log, line.as_ptr() as u64, line.len() as u64) }
}

/// Reads the log from a position; bytes read and the next position.
pub fn log_read(log: Handle, position: u64, out: &mut [u8]) -> Result<(usize, u64)> {
    // SAFETY: the kernel writes at most `out.len()` bytes of `out`.
    let (length, next) = unsafe { syscall::log_read(log, position, out.as_mut_ptr() as u64, out.len() as u64) }?;
    Ok(((length as usize).min(out.len()), next))
}

/// Words of boot information (`what` 0) or counters (1); how many were filled.
pub fn system_info(system: Handle, what: u64, out: &mut [u64]) -> Result<usize> {
    let capacity = size_of_val(out) as u64;
    // SAFETY: the kernel writes at most the capacity, which counts bytes, as the length does.
    let length = unsafe { syscall::system_info(system, what, out.as_mut_ptr() as u64, capacity) }?;
    Ok((length as usize / size_of::<u64>()).min(out.len()))
}

/// The next fault report. Errors: `NotFound` when there is none.
pub fn fault_report(system: Handle) -> Result<FaultReport> {
    let mut words = [0; REPORT_WORDS];
    if system_info(system, 2, &mut words)? < REPORT_WORDS {
        return Err(Error::NotFound);
    }
    Ok(FaultReport::from_words(&words))
}

/// Reads one byte after another from a port.
pub fn port_read_bytes(ports: Handle, port: u64, out: &mut [u8]) -> Result<()> {
    // SAFETY: the kernel writes `out`.
    unsafe { syscall::port_read_bytes(ports, port, out.as_mut_ptr() as u64, out.len() as u64) }
}

/// Writes one byte after another to a port.
pub fn port_write_bytes(ports: Handle, port: u64, data: &[u8]) -> Result<()> {
    // SAFETY: the kernel reads `data`.
    unsafe { syscall::port_write_bytes(ports, port, data.as_ptr() as u64, data.len() as u64) }
}
