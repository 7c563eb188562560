//! The kernel's calls, one row each.
//!
//! A row is: number, name of the variant and of the handler, what the first argument must be
//! (`[Kind RIGHTS]`, checked before anything else; `[]` asks for nothing), whether the handler holds
//! the kernel shared or exclusive, whether it can block, arguments, results, one line of text. The
//! dispatcher, the user stubs, trace names and the reference page are made from the rows through
//! [`for_each_call`](crate::for_each_call).
//!
//! Registers: rax the number; arguments in rdi, rsi, rdx, r8, r9, r10; status back in rax, results
//! in rdi, rsi, rdx. rcx and r11 are lost, all else is kept. Message calls (`call`, `open`, `send`,
//! `recv`, `reply`, `reply_recv`) use the registers of [`message`](crate::message).
//!
//! `quota` arguments need `Quota MANAGE`; addresses are user addresses of the caller; lengths are
//! bytes unless the name ends in `_pages`; deadlines are absolute nanoseconds, 0 for none.

/// The lowest kernel call number. Lower numbers go to the process's handler for foreign calls.
pub const FIRST: u64 = 0x4000_0000;

/// Hands every row to the macro named.
#[macro_export]
macro_rules! for_each_call {
    ($callback:ident) => { $callback! {
        // Messages.
        0x00 Call call [Session SEND] shared blocks (session, tag, extras) -> (badge, tag, extras)
            "Sends a message and waits for its answer.";
        0x01 Open open [] shared blocks (name_address, tag, extras, name_length) -> (badge, tag, extras)
            "As call, on the root session that the caller's namespace binds to a scheme name.";
        0x02 ReplyRecv reply_recv [Endpoint RECEIVE] shared blocks (endpoint, tag, extras, reply) -> (badge, tag, extras, account)
            "Answers the call that reply is bound to, if any, and receives the next message with it.";
        0x03 Reply reply [Reply SEND] shared short (reply, tag, extras) -> ()
            "Answers the call that the reply object is bound to.";
        0x04 Recv recv [Endpoint RECEIVE] shared blocks (endpoint, tag, extras, reply) -> (badge, tag, extras, account)
            "Receives a message; reply must be free. Of the extras only the deadline counts.";
        0x05 Send send [Session SEND] shared blocks (session, tag, extras) -> ()
            "Sends a one-way message (no leases) and waits until it is received.";
        0x06 Notify notify [Notification SEND] shared short (notification, bits) -> ()
            "Sets bits in a notification.";
        0x07 Wait wait [Notification RECEIVE] shared blocks (notification, deadline_ns) -> (bits)
            "Waits until bits are set; takes and clears them.";

        // What callers lent.
        0x10 LeaseRead lease_read [Reply SEND] shared short (reply, index, offset, address, length) -> (done)
            "Copies out of a lease into the caller's memory; done is the bytes copied, also with LeaseFault.";
        0x11 LeaseWrite lease_write [Reply SEND] shared short (reply, index, offset, address, length) -> (done)
            "Copies from the caller's memory into a lease; done is the bytes copied, also with LeaseFault.";
        0x12 LeaseMap lease_map [Reply SEND] shared short (reply, index, offset, length, address, protection) -> (address)
            "Maps whole pages of a lease at address (0: the kernel chooses) until the reply.";
        0x13 LeasePin lease_pin [Reply SEND] shared short (reply, index, offset, length, domain) -> (pin, ranges)
            "Pins part of a lease for a device; the device ranges stand in the IPC buffer.";

        // Capabilities.
        0x20 Derive derive [] shared short (handle, rights, badge_or_start, length) -> (handle)
            "Makes a child capability: fewer rights; for ranges, length units from start (0: the same range).";
        0x21 Close close [] shared short (handle) -> ()
            "Gives a capability up; its children go to its parent.";
        0x22 Revoke revoke [] exclusive short (handle) -> ()
            "Removes every descendant of a capability, in every process, with what stems from it; answers Retry while there is more to do.";
        0x23 Inspect inspect [] shared short (handle) -> (kind_rights, badge, object)
            "Tells what a handle of the caller's names: kind | rights << 8, badge or range, object id.";

        // Accounts.
        0x28 QuotaSplit quota_split [Quota MANAGE] shared short (quota, limit_pages, flags) -> (quota)
            "Makes a child account that holds limit_pages of its parent's.";
        0x29 QuotaInfo quota_info [Quota INSPECT] shared short (quota) -> (limit_pages, used_pages, processes)
            "Tells an account's limit, what is used (children's limits included), and its live processes.";
        0x2a QuotaProcess quota_process [Quota INSPECT] shared short (quota, after) -> (process_id)
            "The process with the next higher id charged to this account or one below it; NotFound at the end.";
        0x2b QuotaOpen quota_open [Quota INSPECT] shared short (quota, process_id) -> (process)
            "A capability to such a process: INSPECT, and MANAGE where the account's capability has it.";
        0x2c QuotaLimit quota_limit [Quota MANAGE] shared short (quota, child, what, value) -> ()
            "Sets a limit of an account split from the first: what 0 its pages, 1 threads, 2 processes (those further down included).";
        0x2d QuotaUsage quota_usage [Quota INSPECT] shared short (quota, address, capacity) -> (length)
            "Writes the words of abi::quota: limits, what is used, and objects by kind.";
        0x2e ProcessQuota process_quota [Process INSPECT] shared short (process) -> (quota)
            "A capability to the account that a process is charged to: INSPECT alone.";

        // Endpoints, sessions, notifications, names.
        0x30 EndpointCreate endpoint_create [Quota MANAGE] shared short (quota) -> (endpoint)
            "Makes an endpoint.";
        0x31 SessionCreate session_create [Endpoint MANAGE] shared short (endpoint, badge, object_type) -> (session)
            "Makes a session with a badge that this endpoint has never used; charged to the caller.";
        0x32 SessionAcknowledge session_acknowledge [Endpoint MANAGE] shared short (endpoint, badge) -> ()
            "Acknowledges the end of a session: it is told no more and its memory goes.";
        0x33 SessionNext session_next [Endpoint MANAGE] shared short (endpoint, after_badge) -> (badge, ended)
            "The session with the next higher badge, and whether it has ended; NotFound at the end.";
        0x34 ReplyCreate reply_create [Quota MANAGE] shared short (quota) -> (reply)
            "Makes a reply object for one call at a time.";
        0x35 NotificationCreate notification_create [Quota MANAGE] shared short (quota) -> (notification)
            "Makes a notification.";
        0x36 NotificationBind notification_bind [Notification RECEIVE] shared short (notification, endpoint) -> ()
            "Delivers a notification's bits to receivers of an endpoint too (Endpoint RECEIVE asked).";
        0x37 TimerSet timer_set [Notification SEND] shared short (notification, bits, deadline_ns, slack_ns) -> ()
            "Sets bits at a time, or up to slack_ns later; one timer a notification, a new one replaces it, 0 disarms.";
        0x38 NamespaceCreate namespace_create [Quota MANAGE] shared short (quota) -> (namespace)
            "Makes an empty namespace.";
        0x39 NamespaceBind namespace_bind [Namespace MANAGE] shared short (namespace, name_address, name_length, session) -> ()
            "Binds a scheme name to a root session (TRANSFER asked); handle 0 unbinds.";
        0x3a NamespaceEntry namespace_entry [Namespace INSPECT] shared short (namespace, index, name_address, name_capacity) -> (name_length)
            "Reads the name at an index, in no order that is promised; NotFound at the end.";
        0x3b NamespaceSession namespace_session [Namespace MANAGE] shared short (namespace, name_address, name_length) -> (session)
            "A derived capability to the root session bound to a name.";

        // Memory.
        0x40 MemoryCreate memory_create [Quota MANAGE] shared short (quota, length_pages, flags, zero) -> (memory)
            "Makes a memory object: demand-zero, or contiguous for devices, which is mapped in large pages where they fit.";
        0x41 MemoryInfo memory_info [Memory INSPECT] shared short (memory) -> (length_pages, resident_pages, flags)
            "Tells an object's size, its pages in memory, and its flags.";
        0x42 MemoryRead memory_read [Memory READ] shared short (memory, offset, address, length) -> (done)
            "Copies out of an object into the caller's memory.";
        0x43 MemoryWrite memory_write [Memory WRITE] shared short (memory, offset, address, length) -> (done)
            "Copies from the caller's memory into an object.";
        0x44 SpaceMap space_map [AddressSpace MANAGE] shared short (space, memory, address, offset, length, protection) -> (address)
            "Maps part of a Memory or DeviceMemory; address 0: the kernel chooses. Protection bits 8 and 9: what a clone of the space gets (Inherit).";
        0x45 SpaceUnmap space_unmap [AddressSpace MANAGE] shared short (space, address, length) -> ()
            "Removes whatever is mapped in a range.";
        0x46 SpaceProtect space_protect [AddressSpace MANAGE] shared short (space, address, length, protection) -> ()
            "Changes the protection of a mapped range, within the rights it was mapped with; what lies before an obstacle is changed.";
        0x47 MemoryClone memory_clone [Memory READ] shared short (memory, quota, first_page, pages, zero) -> (memory)
            "A copy-on-write copy of part of a Memory as it is now: pages are shared until one side writes.";
        0x48 PagerCreate pager_create [Endpoint MANAGE] shared short (endpoint, quota, key, length_pages, flags) -> (memory)
            "A Memory whose absent pages are asked for at the endpoint: what a mapped file is.";
        0x49 PagerSupply pager_supply [Memory MANAGE] shared short (memory, page, pages, source, source_page, access) -> (done)
            "Moves pages out of an ordinary Memory into a paged one, and lets those who wait for them go on.";
        0x4a PagerFail pager_fail [Memory MANAGE] shared short (memory, page, pages, error) -> ()
            "Those who wait for these pages will not get them: their accesses fault.";
        0x4b PagerTake pager_take [Memory MANAGE] shared short (memory, page, pages, what) -> (done, dirty)
            "what 0: makes pages clean and write-protects them, telling which were dirty; 1: takes clean pages back.";
        0x4c SpaceClone space_clone [AddressSpace MANAGE] shared short (space, into, zero) -> ()
            "Copies all mappings into an empty space as each asks for at fork: copy-on-write, shared, or not at all.";
        0x4d PressureWatch pressure_watch [Quota MANAGE] shared short (quota, notification, bits, free_pages) -> ()
            "Sets bits in a notification (SEND asked) whenever an account's free pages fall below a number.";

        // Processes and threads.
        0x50 ProcessCreate process_create [Quota MANAGE] shared short (quota, name_address, name_length, priority_limit, namespace) -> (process, space)
            "Makes an empty process, with handles to it and to its address space. Namespace handle 0: an empty one.";
        0x51 ProcessGrant process_grant [Process MANAGE] shared short (process, handle, rights) -> (handle)
            "Derives a capability into a process's table; answers the handle it has there.";
        0x52 ProcessExit process_exit [] exclusive blocks (code) -> ()
            "Ends the calling process.";
        0x53 ProcessKill process_kill [Process MANAGE] exclusive short (process, code) -> ()
            "Ends a process.";
        0x54 ProcessStatus process_status [Process INSPECT] shared short (process) -> (state, code, process_id)
            "0 running, 1 ended by exit, 2 killed, 3 ended by a fault; and the exit code or vector.";
        0x55 ProcessWatch process_watch [Process INSPECT] shared short (process, notification, bits) -> ()
            "Sets bits in a notification (SEND asked) when the process has ended; at once if it has.";
        0x56 ProcessInfo process_info [Process INSPECT] shared short (process, address) -> ()
            "Writes a ProcessInfo of abi::start to the caller's memory.";
        0x57 ProcessCapability process_capability [Process INSPECT] shared short (process, index, address) -> (next_index)
            "Writes the CapabilityInfo of the first entry at or after an index; NotFound at the end.";
        0x58 ProcessNamespace process_namespace [Process MANAGE] shared short (process) -> (namespace)
            "A capability to a process's namespace.";
        0x59 ThreadCreate thread_create [Process MANAGE] shared short (process, entry, stack, argument, buffer, priority) -> (thread)
            "Starts a thread at entry with argument in rdi; buffer is the address of its IPC buffer's page.";
        0x5a ThreadExit thread_exit [] shared blocks () -> ()
            "Ends the calling thread; the last one ends the process with code 0.";
        0x5b ThreadPriority thread_priority [Thread MANAGE] shared short (thread, priority) -> ()
            "Changes a thread's priority, within its process's limit.";
        0x5c ThreadCancel thread_cancel [Thread MANAGE] shared short (thread) -> ()
            "Cancels the wait or the call that a thread is in.";
        0x5d ThreadYield thread_yield [] shared blocks () -> ()
            "Lets other threads of the same priority run.";
        0x5e ThreadSetFsBase thread_set_fs_base [] shared short (base) -> ()
            "Sets the calling thread's FS base.";
        0x5f ThreadId thread_id [] shared short () -> (thread_id, process_id)
            "The ids of the calling thread and its process.";
        0x60 Clock clock [] shared short () -> (monotonic_ns)
            "Nanoseconds since boot.";
        0x61 Sleep sleep [] shared blocks (deadline_ns) -> ()
            "Waits until a time.";
        0x62 TableClone table_clone [Process MANAGE] shared short (process, zero) -> ()
            "Copies the caller's capability table into a process whose table is empty, numbers kept; not Reply, Thread, Pin.";

        // Devices.
        0x68 InterruptAllocate interrupt_allocate [Interrupt MANAGE] shared short (root, line, flags) -> (interrupt, address, data)
            "One interrupt from a range: a line (a GSI; flags bit 0 level, bit 1 active low), or with line -1 a message: its address and data.";
        0x69 InterruptBind interrupt_bind [Interrupt MANAGE] shared short (interrupt, notification, bits) -> ()
            "Sets bits in a notification (SEND asked) at each interrupt.";
        0x6a InterruptAcknowledge interrupt_acknowledge [Interrupt MANAGE] shared short (interrupt) -> ()
            "Lets a line interrupt again; edges and messages need none.";
        0x6b PortRead port_read [IoPorts READ] shared short (ports, port, width) -> (value)
            "Reads 1, 2 or 4 bytes from a port.";
        0x6c PortWrite port_write [IoPorts WRITE] shared short (ports, port, width, value) -> ()
            "Writes 1, 2 or 4 bytes to a port.";
        0x6d PortReadBytes port_read_bytes [IoPorts READ] shared short (ports, port, address, length) -> ()
            "Reads one byte after another from a port into memory; at most a page.";
        0x6e PortWriteBytes port_write_bytes [IoPorts WRITE] shared short (ports, port, address, length) -> ()
            "Writes one byte after another to a port; at most a page.";
        0x70 DomainCreate domain_create [DmaDomain MANAGE] shared short (root, quota, tag) -> (domain)
            "Makes a device's view of memory, held until it is released; by its tag (0: none) the root's holder finds it again.";
        0x71 DomainPin domain_pin [DmaDomain WRITE] shared short (domain, memory, offset, length) -> (pin, ranges)
            "Pins part of a memory object (READ and WRITE asked); the device ranges stand in the IPC buffer.";
        0x72 DomainRelease domain_release [DmaDomain MANAGE] exclusive short (domain) -> ()
            "The device is stopped: frees the frames that a dead driver's pins hold.";
        0x73 DomainOpen domain_open [DmaDomain MANAGE] shared short (root, tag) -> (domain)
            "A capability to the view of memory with this tag: for a bus manager that was restarted.";

        // The system.
        0x78 LogWrite log_write [Log WRITE] shared short (log, address, length) -> ()
            "Puts a line into the log; cut at 512 bytes, control characters replaced.";
        0x79 LogRead log_read [Log READ] shared short (log, position, address, capacity) -> (length, position)
            "Reads the log from a position (0: the oldest kept); length 0 at its end.";
        0x7a SystemInfo system_info [System INSPECT] shared short (system, what, address, capacity) -> (length)
            "Copies boot information (what 0), counters (1) or the next fault report (2) as words.";
        0x7b SystemWatch system_watch [System MANAGE] shared short (system, notification, bits) -> ()
            "Sets bits in a notification (SEND asked) at each fault report.";
        0x7c SystemControl system_control [System MANAGE] exclusive short (system, what, value) -> ()
            "0: stops the machine (value: 0 power off, 1 reboot, 2.. exit status v for the emulator); 1: leaves the serial port to its driver.";

        // Events.
        0x80 QueueCreate queue_create [Quota MANAGE] shared short (quota, capacity) -> (queue)
            "Makes an event queue for at most capacity sessions.";
        0x81 QueueAdd queue_add [EventQueue MANAGE] shared short (queue, session, key, mask, mode) -> ()
            "Watches a session's readiness under a key (Session INSPECT asked); mode 0 level, 1 edge, 2 once.";
        0x82 QueueChange queue_change [EventQueue MANAGE] shared short (queue, key, mask, mode) -> ()
            "Changes what is watched under a key, and arms it again.";
        0x83 QueueRemove queue_remove [EventQueue MANAGE] shared short (queue, key) -> ()
            "Watches under a key no more.";
        0x84 QueueWait queue_wait [EventQueue RECEIVE] shared blocks (queue, address, capacity, deadline_ns) -> (count)
            "Waits for events and writes up to capacity of them as (key, ready bits) words; deadline 1 does not wait.";
        0x85 QueueBind queue_bind [EventQueue MANAGE] shared short (queue, notification, bits) -> ()
            "Sets bits in a notification (SEND asked) whenever the queue comes to hold an event.";
        0x86 SessionReady session_ready [Endpoint MANAGE] shared short (endpoint, badge, set, clear) -> ()
            "Changes a session's readiness word; bits in set are edges even where they were set before.";
        0x87 FutexWait futex_wait [] shared blocks (address, expected, deadline_ns) -> ()
            "Waits at a 32-bit word if it still has the expected value; WouldBlock if it has not.";
        0x88 FutexWake futex_wake [] shared short (address, count) -> (woken)
            "Wakes up to count threads that wait at a word, longest waiting first.";
        0x89 FutexRequeue futex_requeue [] shared short (address, expected, count, to, to_count) -> (woken, moved)
            "Wakes up to count threads and has up to to_count more wait at another word, if the first has the expected value.";

        // What becomes of threads.
        0x90 ThreadSuspend thread_suspend [Thread MANAGE] shared blocks (thread) -> ()
            "Stops a thread in user mode until it is resumed; what it waits for goes on.";
        0x91 ThreadResume thread_resume [Thread MANAGE] shared short (thread) -> ()
            "Lets a suspended thread go on.";
        0x92 ThreadRegisters thread_registers [Thread INSPECT] shared short (thread, address) -> ()
            "Writes the registers of a suspended thread as words of abi::thread.";
        0x93 ThreadSetRegisters thread_set_registers [Thread MANAGE] shared short (thread, address) -> ()
            "Sets the registers of a suspended thread, with flags made harmless.";
        0x94 ThreadUpcall thread_upcall [Thread MANAGE] shared blocks (thread, bits) -> ()
            "Has a thread run its upcall handler with these bits, whatever it is doing.";
        0x95 UpcallHandler upcall_handler [] shared short (entry, stack, stack_length, flags) -> ()
            "Sets the calling thread's upcall handler and its stack (0: the stack in use); entry 0: none.";
        0x96 UpcallReturn upcall_return [] shared blocks (frame) -> ()
            "Ends an upcall: goes on from a frame, waiting again for a call that was in flight.";
        0x97 UpcallMask upcall_mask [] shared blocks (masked) -> (was_masked)
            "Holds upcalls of the calling thread back, or lets them come.";
        0x98 ThreadFaultHandler thread_fault_handler [Thread MANAGE] shared short (thread, session) -> ()
            "Sends a thread's faults as calls through a session (SEND asked); handle 0: its process ends with a report.";
        0x99 ForeignHandler foreign_handler [Process MANAGE] shared short (process, entry) -> ()
            "Where a process's call numbers below the kernel's go, with rcx the way back; 0: they end it.";
        0x9a ThreadAffinity thread_affinity [Thread MANAGE] shared short (thread, mask) -> ()
            "Binds a thread to processors, a bit each; 0: to none in particular.";

        // Security.
        0xa0 PolicyLoad policy_load [System MANAGE] shared short (system, address, length) -> ()
            "Loads the security policy of abi::security, once; it is sealed from then on.";
        0xa1 ProcessLabel process_label [Process MANAGE] shared short (process, label) -> ()
            "Gives a process that has no thread and no capability yet another subject label, where the policy lets the caller's.";
        0xa2 AuditRead audit_read [System INSPECT] shared short (system, ring, position, address, capacity) -> (length, position, lost)
            "Reads audit records of abi::security from a position; ring 0 all, 1 + label that subject's denials; lost before them.";
        0xa3 AuditWrite audit_write [System MANAGE] shared short (system, address, length) -> ()
            "Adds a note of init's to the audit record: 32 bytes of a service's name, and up to 64 of text.";
    } };
}

macro_rules! make_calls {
    ($($number:literal $variant:ident $name:ident [$($need:tt)*] $lock:ident $wait:ident
        ($($arg:ident),*) -> ($($result:ident),*) $text:literal;)+) => {
        /// A kernel call.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u64)]
        pub enum Call { $(#[doc = $text] $variant = FIRST + $number,)+ }

        impl Call {
            /// All calls, in numeric order.
            pub const ALL: &'static [Call] = &[$(Call::$variant,)+];
            /// The call with this number.
            pub const fn from_number(number: u64) -> Option<Call> {
                if number < FIRST { return None; }
                match number - FIRST { $($number => Some(Call::$variant),)+ _ => None }
            }
            /// The call's name.
            pub const fn name(self) -> &'static str {
                match self { $(Call::$variant => stringify!($name),)+ }
            }
            /// What it does, in one line.
            pub const fn text(self) -> &'static str {
                match self { $(Call::$variant => $text,)+ }
            }
            /// Its arguments' names, in register order.
            pub const fn arguments(self) -> &'static [&'static str] {
                match self { $(Call::$variant => &[$(stringify!($arg)),*],)+ }
            }
            /// Its results' names, in register order.
            pub const fn results(self) -> &'static [&'static str] {
                match self { $(Call::$variant => &[$(stringify!($result)),*],)+ }
            }
            /// Kind and rights that the first argument must have, as written in the row.
            pub const fn needs(self) -> &'static str {
                match self { $(Call::$variant => stringify!($($need)*),)+ }
            }
            /// Whether the caller may have to wait.
            pub const fn blocks(self) -> bool {
                match self { $(Call::$variant => make_calls!(@wait $wait),)+ }
            }
        }
    };
    (@wait blocks) => { true };
    (@wait short) => { false };
}

for_each_call!(make_calls);

#[cfg(test)]
mod tests {
    use super::{Call, FIRST};

    #[test]
    fn rows_are_in_order_and_numbers_name_them() {
        for pair in Call::ALL.windows(2) {
            assert!(pair[0] < pair[1]);
        }
        for call in Call::ALL {
            assert_eq!(Call::from_number(*call as u64), Some(*call));
            assert!(call.text().ends_with('.') && call.arguments().len() <= 6);
        }
        assert_eq!(Call::from_number(0), None);
        assert_eq!(Call::from_number(FIRST + 0xffff), None);
    }
}
