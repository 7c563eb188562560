//! What each call costs in its plainest form, for the reference.
//!
//! Every call is made [`TIMES`] times in a loop between two reads of the counter; the loop itself costs some instructions, the
//! same for all. Calls that need what this program does not hold (devices, the system) or that do not come back are not
//! measured.

use crate::raw;
use abi::call::Call;
use abi::event::Mode;
use abi::memory::{MemoryFlags, Protection, PAGE_SIZE};
use abi::{error, Handle, Result, Rights};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::sync::atomic::AtomicU32;
use scheme::rt::{calls, start};

/// How often each call is made.
const TIMES: u64 = 60;
/// Where things are mapped that nobody uses.
const FAR: u64 = 0x2000_0000_0000;
const OWN: u64 = Handle::SELF_QUOTA.word();
const SPACE: u64 = Handle::SELF_SPACE.word();
const PROCESS: u64 = Handle::SELF_PROCESS.word();
const THREAD: u64 = Handle::SELF_THREAD.word();
const WRITE: u64 = (Protection::READ.bits() | Protection::WRITE.bits()) as u64;
const READ: u64 = Protection::READ.bits() as u64;

/// The measurements so far.
struct Costs {
    lines: String,
}

impl Costs {
    /// Makes a call many times, with the arguments for each time, and notes what it took. Answers the first result of each.
    fn of(&mut self, call: Call, mut arguments: impl FnMut(u64) -> [u64; 6]) -> Result<Vec<u64>> {
        let mut results = Vec::with_capacity(TIMES as usize);
        let mut failed = 0;
        let begin = raw::tsc();
        for time in 0..TIMES {
            let (status, values) = raw::any(call, arguments(time));
            failed |= status;
            results.push(values[0]);
        }
        let taken = raw::tsc().wrapping_sub(begin);
        error::check(failed).inspect_err(|error| log::error!("{}: {error}", call.name()))?;
        self.lines.push_str(&format!("{} {}\n", call.name(), taken / TIMES));
        Ok(results)
    }

    /// The same with the same arguments each time.
    fn same(&mut self, call: Call, arguments: &[u64]) -> Result<()> {
        let mut all = [0; 6];
        all.iter_mut().zip(arguments).for_each(|(place, value)| *place = *value);
        self.of(call, |_| all).map(drop)
    }
}

/// Gives objects up, not measured.
fn close(handles: Vec<u64>) {
    handles.into_iter().filter_map(Handle::from_word).for_each(calls::close);
}

/// All that can be measured from here: a line a call, its name and the instructions.
pub fn all() -> Result<String> {
    let mut costs = Costs { lines: String::new() };
    // The first of everything is slow: once for warmth, once for the record.
    for _ in 0..2 {
        costs.lines.clear();
        capabilities(&mut costs)?;
        accounts(&mut costs)?;
        sessions(&mut costs)?;
        memory(&mut costs)?;
        processes(&mut costs)?;
        threads(&mut costs)?;
        events(&mut costs)?;
        others(&mut costs)?;
    }
    Ok(costs.lines)
}

fn capabilities(costs: &mut Costs) -> Result<()> {
    let object = calls::notification_create(Handle::SELF_QUOTA)?.word();
    let rights = u64::from(Rights::all().bits());
    let made = costs.of(Call::Derive, |_| [object, rights, 0, 0, 0, 0])?;
    costs.of(Call::Inspect, |n| [made.get(n as usize).copied().unwrap_or(0), 0, 0, 0, 0, 0])?;
    costs.of(Call::Close, |n| [made.get(n as usize).copied().unwrap_or(0), 0, 0, 0, 0, 0])?;
    costs.same(Call::Revoke, &[object])?;
    close(alloc::vec![object]);
    Ok(())
}

fn accounts(costs: &mut Costs) -> Result<()> {
    let made = costs.of(Call::QuotaSplit, |_| [OWN, 2, 0, 0, 0, 0])?;
    close(made);
    let child = calls::quota_split(Handle::SELF_QUOTA, 4, 0)?.word();
    let usage = [0u64; abi::quota::WORDS];
    costs.same(Call::QuotaInfo, &[OWN])?;
    costs.same(Call::QuotaUsage, &[OWN, usage.as_ptr() as u64, size_of_val(&usage) as u64])?;
    costs.of(Call::QuotaLimit, |n| [OWN, child, 0, 4 + n % 2, 0, 0])?;
    costs.same(Call::QuotaProcess, &[OWN, 0])?;
    let (_, own) = calls::thread_id()?;
    let made = costs.of(Call::QuotaOpen, |_| [OWN, own, 0, 0, 0, 0])?;
    close(made);
    let made = costs.of(Call::ProcessQuota, |_| [PROCESS, 0, 0, 0, 0, 0])?;
    close(made);
    let bell = calls::notification_create(Handle::SELF_QUOTA)?.word();
    costs.same(Call::PressureWatch, &[child, bell, 1, 1])?;
    close(alloc::vec![bell, child]);
    Ok(())
}

fn sessions(costs: &mut Costs) -> Result<()> {
    for call in [Call::EndpointCreate, Call::ReplyCreate, Call::NotificationCreate, Call::NamespaceCreate] {
        let made = costs.of(call, |_| [OWN, 0, 0, 0, 0, 0])?;
        close(made);
    }
    let endpoint = calls::endpoint_create(Handle::SELF_QUOTA)?.word();
    let made = costs.of(Call::SessionCreate, |n| [endpoint, n + 1, 0, 0, 0, 0])?;
    costs.of(Call::SessionNext, |n| [endpoint, n, 0, 0, 0, 0])?;
    costs.of(Call::SessionReady, |n| [endpoint, n + 1, 1, 0, 0, 0])?;
    let namespace = calls::namespace_create(Handle::SELF_QUOTA)?.word();
    let names: Vec<[u8; 2]> = (0..TIMES).map(|n| [b'a' + (n / 8) as u8, b'a' + (n % 8) as u8]).collect();
    let name = |n: u64| names.get(n as usize).map_or(0, |name| name.as_ptr() as u64);
    costs.of(Call::NamespaceBind, |n| [namespace, name(n), 2, made.first().copied().unwrap_or(0), 0, 0])?;
    let room = [0u8; 64];
    costs.of(Call::NamespaceEntry, |n| [namespace, n, room.as_ptr() as u64, 64, 0, 0])?;
    let found = costs.of(Call::NamespaceSession, |n| [namespace, name(n), 2, 0, 0, 0])?;
    close(found);
    close(alloc::vec![namespace]);
    close(made);
    costs.of(Call::SessionAcknowledge, |n| [endpoint, n + 1, 0, 0, 0, 0])?;
    let bell = calls::notification_create(Handle::SELF_QUOTA)?.word();
    costs.same(Call::Notify, &[bell, 1])?;
    costs.of(Call::TimerSet, |n| [bell, 1, scheme::time::after_ns(scheme::time::SECOND) + n, 0, 0, 0])?;
    close(alloc::vec![bell, endpoint]);
    let (signalled, endpoint) = (ready_notifications()?, calls::endpoint_create(Handle::SELF_QUOTA)?.word());
    costs.of(Call::Wait, |n| [signalled.get(n as usize).copied().unwrap_or(0), 0, 0, 0, 0, 0])?;
    close(signalled);
    let fresh = calls::notification_create(Handle::SELF_QUOTA)?.word();
    costs.same(Call::NotificationBind, &[fresh, endpoint])?;
    close(alloc::vec![fresh, endpoint]);
    Ok(())
}

/// Notifications with a bit set.
fn ready_notifications() -> Result<Vec<u64>> {
    (0..TIMES)
        .map(|_| {
            let bell = calls::notification_create(Handle::SELF_QUOTA)?;
            calls::notify(bell, 1)?;
            Ok(bell.word())
        })
        .collect()
}

fn memory(costs: &mut Costs) -> Result<()> {
    let made = costs.of(Call::MemoryCreate, |_| [OWN, 8, 0, 0, 0, 0])?;
    close(made);
    let memory = calls::memory_create(Handle::SELF_QUOTA, TIMES, MemoryFlags::empty())?.word();
    let word = [0u8; 8];
    costs.same(Call::MemoryInfo, &[memory])?;
    costs.same(Call::MemoryWrite, &[memory, 0, word.as_ptr() as u64, 8])?;
    costs.same(Call::MemoryRead, &[memory, 0, word.as_ptr() as u64, 8])?;
    let made = costs.of(Call::MemoryClone, |_| [memory, OWN, 0, 1, 0, 0])?;
    close(made);
    let at = |n: u64| FAR + n * 2 * PAGE_SIZE;
    costs.of(Call::SpaceMap, |n| [SPACE, memory, at(n), 0, PAGE_SIZE, WRITE])?;
    costs.of(Call::SpaceProtect, |n| [SPACE, at(n), PAGE_SIZE, READ, 0, 0])?;
    costs.of(Call::SpaceUnmap, |n| [SPACE, at(n), PAGE_SIZE, 0, 0, 0])?;
    close(alloc::vec![memory]);
    paged(costs)
}

fn paged(costs: &mut Costs) -> Result<()> {
    let endpoint = calls::endpoint_create(Handle::SELF_QUOTA)?.word();
    let made = costs.of(Call::PagerCreate, |n| [endpoint, OWN, n, 4, 0, 0])?;
    close(made);
    let (status, [memory, ..]) = raw::any(Call::PagerCreate, [endpoint, OWN, 1, TIMES, 0, 0]);
    error::check(status)?;
    let source = calls::memory_create(Handle::SELF_QUOTA, TIMES, MemoryFlags::empty())?;
    for page in 0..TIMES {
        calls::memory_write(source, page * PAGE_SIZE, &[1])?;
    }
    costs.of(Call::PagerSupply, |n| [memory, n, 1, source.word(), n, WRITE])?;
    costs.of(Call::PagerTake, |n| [memory, n, 1, 0, 0, 0])?;
    costs.of(Call::PagerFail, |n| [memory, n, 1, u64::from(abi::Error::Io.number()), 0, 0])?;
    close(alloc::vec![memory, source.word(), endpoint]);
    Ok(())
}

fn processes(costs: &mut Costs) -> Result<()> {
    let name = b"cost";
    let (mut processes, mut spaces) = (Vec::new(), Vec::new());
    let create = [OWN, name.as_ptr() as u64, 4, 1, 0, 0];
    // Both results are wanted here, and few at a time: a process costs its account much.
    let begin = raw::tsc();
    for _ in 0..4 {
        let (status, [process, space, _]) = raw::any(Call::ProcessCreate, create);
        error::check(status)?;
        processes.push(process);
        spaces.push(space);
    }
    let taken = raw::tsc().wrapping_sub(begin) / 4;
    costs.lines.push_str(&format!("{} {taken}\n", Call::ProcessCreate.name()));
    let [process, other, ..] = processes[..] else { return Err(abi::Error::Corrupt) };
    let bell = calls::notification_create(Handle::SELF_QUOTA)?.word();
    costs.same(Call::ProcessGrant, &[process, bell, u64::from(Rights::SEND.bits())])?;
    costs.same(Call::ProcessStatus, &[process])?;
    costs.of(Call::ProcessWatch, |n| [process, bell, n + 1, 0, 0, 0])?;
    let room = [0u64; 64];
    costs.same(Call::ProcessInfo, &[process, room.as_ptr() as u64])?;
    costs.same(Call::ProcessCapability, &[process, 0, room.as_ptr() as u64])?;
    let made = costs.of(Call::ProcessNamespace, |_| [process, 0, 0, 0, 0, 0])?;
    close(made);
    costs.same(Call::ForeignHandler, &[process, FAR])?;
    costs.once(Call::TableClone, [other, 0, 0, 0, 0, 0])?;
    if let [_, space, ..] = spaces[..] {
        costs.once(Call::SpaceClone, [SPACE, space, 0, 0, 0, 0])?;
    }
    costs.once(Call::ProcessKill, [process, 0, 0, 0, 0, 0])?;
    for process in processes.iter().skip(1) {
        let (status, _) = raw::any(Call::ProcessKill, [*process, 0, 0, 0, 0, 0]);
        error::check(status)?;
    }
    close(spaces);
    close(processes);
    close(alloc::vec![bell]);
    Ok(())
}

impl Costs {
    /// A call that can be made once only.
    fn once(&mut self, call: Call, arguments: [u64; 6]) -> Result<()> {
        let begin = raw::tsc();
        let (status, _) = raw::any(call, arguments);
        let taken = raw::tsc().wrapping_sub(begin);
        error::check(status).inspect_err(|error| log::error!("{}: {error}", call.name()))?;
        self.lines.push_str(&format!("{} {taken}\n", call.name()));
        Ok(())
    }
}

fn threads(costs: &mut Costs) -> Result<()> {
    let (process, space) = calls::process_create(Handle::SELF_QUOTA, "threads", 1, Handle::NONE)?;
    let memory = calls::memory_create(Handle::SELF_QUOTA, 1, MemoryFlags::empty())?;
    let (status, _) = raw::any(Call::SpaceMap, [space.word(), memory.word(), FAR, 0, PAGE_SIZE, WRITE]);
    error::check(status)?;
    // Of the lowest priority: they do not run while we do.
    let made = costs.of(Call::ThreadCreate, |_| [process.word(), FAR, FAR, 0, FAR, 1])?;
    let thread = made.first().copied().unwrap_or(0);
    costs.same(Call::ThreadPriority, &[thread, 1])?;
    costs.of(Call::ThreadSuspend, |n| [made.get(n as usize).copied().unwrap_or(0), 0, 0, 0, 0, 0])?;
    let room = [0u64; abi::thread::REGISTER_WORDS];
    costs.same(Call::ThreadRegisters, &[thread, room.as_ptr() as u64])?;
    costs.same(Call::ThreadSetRegisters, &[thread, room.as_ptr() as u64])?;
    costs.of(Call::ThreadResume, |n| [made.get(n as usize).copied().unwrap_or(0), 0, 0, 0, 0, 0])?;
    costs.same(Call::ThreadFaultHandler, &[thread, 0])?;
    calls::process_kill(process, 0)?;
    close(made);
    [memory, space, process].into_iter().for_each(calls::close);
    costs.same(Call::ThreadId, &[])?;
    costs.same(Call::ThreadYield, &[])?;
    costs.same(Call::UpcallMask, &[0])?;
    costs.same(Call::ThreadPriority, &[THREAD, scheme::process::DEFAULT_PRIORITY])
}

fn events(costs: &mut Costs) -> Result<()> {
    let endpoint = calls::endpoint_create(Handle::SELF_QUOTA)?;
    let sessions: Vec<u64> =
        (1..=TIMES).map(|badge| calls::session_create(endpoint, badge, 0).map(Handle::word)).collect::<Result<_>>()?;
    let made = costs.of(Call::QueueCreate, |_| [OWN, 4, 0, 0, 0, 0])?;
    close(made);
    let queue = scheme::rt::event::queue_create(Handle::SELF_QUOTA, TIMES)?.word();
    let (level, edge) = (Mode::Level as u64, Mode::Edge as u64);
    costs.of(Call::QueueAdd, |n| [queue, sessions.get(n as usize).copied().unwrap_or(0), n, 1, level, 0])?;
    costs.of(Call::QueueChange, |n| [queue, n, 1, edge, 0, 0])?;
    let bell = calls::notification_create(Handle::SELF_QUOTA)?.word();
    costs.same(Call::QueueBind, &[queue, bell, 1])?;
    for badge in 1..=TIMES {
        scheme::rt::event::session_ready(endpoint, badge, 1, 0)?;
    }
    let room = [0u64; 2];
    costs.of(Call::QueueWait, |_| [queue, room.as_ptr() as u64, 1, 1, 0, 0])?;
    costs.of(Call::QueueRemove, |n| [queue, n, 0, 0, 0, 0])?;
    close(sessions);
    close(alloc::vec![queue, bell, endpoint.word()]);
    let (word, other) = (AtomicU32::new(0), AtomicU32::new(0));
    let (word, other) = (word.as_ptr() as u64, other.as_ptr() as u64);
    costs.same(Call::FutexWake, &[word, 1])?;
    costs.same(Call::FutexRequeue, &[word, 0, 1, other, 1])
}

fn others(costs: &mut Costs) -> Result<()> {
    costs.same(Call::Clock, &[])?;
    let line = b"what a line of the log costs";
    if let Some(log) = start::handle(abi::start::names::LOG) {
        // (Few lines: others read the log too.)
        costs.once(Call::LogWrite, [log.word(), line.as_ptr() as u64, line.len() as u64, 0, 0, 0])?;
    }
    Ok(())
}
