//! The operations that are measured.

use crate::raw;
use crate::row::{Row, Sample};
use abi::boot::Counter;
use abi::call::Call;
use abi::memory::{MemoryFlags, PAGE_SIZE};
use abi::message::{Extras, LeaseAccess};
use abi::{Error, Handle, Result, Rights};
use alloc::vec;
use alloc::vec::Vec;
use scheme::client::File;
use scheme::notification::Notification;
use scheme::process::{Command, Process};
use scheme::rt::{calls, lease, memory, thread};
use scheme::services;

/// How often short operations are done.
const MANY: u64 = 2000;
/// How often long ones.
const FEW: u64 = 50;
/// The tag that asks the server to copy 4 KiB out of lease 0.
const COPY: u64 = 1;
/// The tag that asks it to map lease 0 and read its first and last word.
const MAP: u64 = 2;
/// Bytes lent to be copied, and to be mapped.
const COPIED: usize = 4096;
const MAPPED: usize = 64 * 1024;

/// Reads the kernel's counters through init.
pub struct Counters(File);

impl Counters {
    /// Opens the way to them. Errors: init's.
    pub fn new() -> Result<Counters> {
        Ok(Counters(File::root_of("services:")?.0))
    }

    /// All of them.
    pub fn words(&self) -> Result<[u64; 16]> {
        let mut bytes = [0; 128];
        self.0.control(services::COUNTERS, 0, &[], &mut bytes)?;
        Ok(core::array::from_fn(|i| {
            bytes.get(i * 8..i * 8 + 8).and_then(|b| b.try_into().ok()).map_or(0, u64::from_le_bytes)
        }))
    }

    fn sample(&self) -> Result<Sample> {
        let words = self.words()?;
        let at = |c: Counter| words.get(c as usize).copied().unwrap_or(0);
        Ok(Sample {
            entries: at(Counter::KernelEntries),
            loads: at(Counter::RootLoads),
            flushes: at(Counter::TlbFlushes),
            tsc: 0,
        })
    }

    /// Does something `count` times and tells what it took.
    fn run(
        &self,
        name: &'static str,
        count: u64,
        limit: Option<u64>,
        mut act: impl FnMut() -> Result<()>,
    ) -> Result<Row> {
        // Once for everything that is slow only the first time.
        act()?;
        let before = self.sample()?;
        let start = raw::tsc();
        for _ in 0..count {
            act()?;
        }
        let tsc = raw::tsc().wrapping_sub(start);
        let total = Sample { tsc, ..self.sample()?.since(&before) };
        Ok(Row { name, total, count, limit })
    }
}

/// A second process that answers calls.
struct Server {
    session: Handle,
    process: Process,
}

impl Server {
    fn start(program: &[u8]) -> Result<Server> {
        let endpoint = calls::endpoint_create(Handle::SELF_QUOTA)?;
        let session = calls::session_create(endpoint, 1, 0)?;
        let mut command = Command::new("app-bench");
        command.argument("server").grant("endpoint", endpoint, Rights::RECEIVE | Rights::MANAGE);
        Ok(Server { session, process: command.spawn(program)? })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill(0);
        calls::close(self.session);
    }
}

/// What the second process does: answers for ever.
pub fn serve() -> Result<()> {
    let endpoint = scheme::server::endpoint()?;
    let reply = calls::reply_create(Handle::SELF_QUOTA)?;
    let mut buffer = vec![0u8; COPIED];
    let (mut status, mut tag) = raw::receive(Call::Recv, endpoint, 0, reply);
    while status == 0 {
        match tag {
            COPY => lease::read(reply, 0, 0, &mut buffer)?,
            MAP => {
                let pages = lease::map(reply, 0, 0, MAPPED, LeaseAccess::READ)?;
                let mut word = [0; 8];
                pages.read(0, &mut word);
                pages.read(MAPPED - 8, &mut word);
            }
            _ => {}
        }
        (status, tag) = raw::receive(Call::ReplyRecv, endpoint, 0, reply);
    }
    Err(Error::Closed)
}

/// Every row. `program` is this program's own file, for second processes.
pub fn all(program: &[u8], print: &mut dyn FnMut(&Row)) -> Result<()> {
    let counters = Counters::new()?;
    let check = |status: u64| abi::error::check(status);

    print(&counters.run("empty syscall", MANY, Some(150), || {
        raw::empty();
        Ok(())
    })?);

    let server = Server::start(program)?;
    let session = server.session;
    print(&counters.run("call and reply_recv, 0 words", MANY, Some(1200), || check(raw::call_bare(session, 0, 0)))?);
    let mut words = [1, 2, 3, 4, 5, 6];
    print(
        &counters
            .run("call and reply_recv, 6 words", MANY, Some(1200), || check(raw::call_words(session, 0, &mut words)))?,
    );
    let (memory, mapping) = memory::create(Handle::SELF_QUOTA, MAPPED as u64, MemoryFlags::empty())?;
    let address = mapping.address() as *const u8;
    let extras = Extras::new(0, 1, false).0;
    let read = u64::from(LeaseAccess::READ.bits());
    print(&counters.run("call with 4 KiB lease, copied", MANY, None, || {
        raw::lend(address, COPIED as u64, read);
        check(raw::call_bare(session, COPY, extras))
    })?);
    print(&counters.run("call with 64 KiB lease, mapped", FEW * 4, None, || {
        raw::lend(address, MAPPED as u64, read);
        check(raw::call_bare(session, MAP, extras))
    })?);
    drop((server, mapping));
    calls::close(memory);

    print(&notification(&counters)?);
    print(&switch(&counters)?);
    print(&page_fault(&counters)?);
    print(&counters.run("process: create, start, exit, wait", FEW, None, || {
        let mut command = Command::new("app-bench");
        command.argument("nothing");
        command.spawn(program)?.wait(0).map(|_| ())
    })?);
    Ok(())
}

/// Signalling a thread of higher priority that waits: it runs, and waits again.
fn notification(counters: &Counters) -> Result<Row> {
    let wake = Notification::new()?;
    let handle = wake.handle();
    let waiter = thread::spawn(scheme::process::DEFAULT_PRIORITY, move || {
        while calls::wait(handle, 0).is_ok_and(|bits| bits & 2 == 0) {}
    })?;
    // The waiter is above us from now on, and reaches its wait before we go on.
    calls::thread_priority(Handle::SELF_THREAD, scheme::process::DEFAULT_PRIORITY - 8)?;
    calls::thread_yield()?;
    let row =
        counters.run("notify a waiting thread of higher priority, and back", MANY, None, || calls::notify(handle, 1));
    calls::notify(handle, 2)?;
    waiter.join(0)?;
    calls::thread_priority(Handle::SELF_THREAD, scheme::process::DEFAULT_PRIORITY)?;
    row
}

/// Two threads of one process that yield to each other: two switches a turn.
fn switch(counters: &Counters) -> Result<Row> {
    use core::sync::atomic::{AtomicBool, Ordering};
    static DONE: AtomicBool = AtomicBool::new(false);
    DONE.store(false, Ordering::Relaxed);
    let other = thread::spawn(scheme::process::DEFAULT_PRIORITY, || {
        while !DONE.load(Ordering::Relaxed) {
            let _ = calls::thread_yield();
        }
    })?;
    let mut row = counters.run("yield and switch", MANY, None, calls::thread_yield)?;
    // A turn is there and back.
    row.count = row.count.saturating_mul(2);
    DONE.store(true, Ordering::Relaxed);
    other.join(0)?;
    Ok(row)
}

/// The first write to each page of fresh memory.
fn page_fault(counters: &Counters) -> Result<Row> {
    let pages = 256u64;
    let (memory, mut mapping) = memory::create(Handle::SELF_QUOTA, (pages + 1) * PAGE_SIZE, MemoryFlags::empty())?;
    let mut page = 0usize;
    let row = counters.run("fault on fresh memory (512 of them zeroing)", pages, None, || {
        page += 1;
        mapping.write((page - 1) * PAGE_SIZE as usize, &[1])
    });
    calls::close(memory);
    row
}

/// Boot: from the kernel's first instruction to init's, and to the shell's first prompt.
pub fn boot() -> Result<Vec<Row>> {
    let words = Counters::new()?.words()?;
    let at = |c: Counter| words.get(c as usize).copied().unwrap_or(0);
    let one = |name, tsc, limit| Row { name, total: Sample { tsc, ..Sample::default() }, count: 1, limit };
    let mut rows =
        vec![one("boot: kernel entry to init", at(Counter::InitTsc).wrapping_sub(at(Counter::EntryTsc)), None)];
    let text = File::read_all_of("services:sh", 4096)?;
    let text = core::str::from_utf8(&text).map_err(|_| Error::Corrupt)?;
    let ready_ns: u64 = text.lines().find_map(|l| l.strip_prefix("ready-ns ")?.parse().ok()).ok_or(Error::Corrupt)?;
    if ready_ns == 0 {
        return Err(Error::NotFound);
    }
    // On the yardstick a nanosecond is an instruction; elsewhere the counter's rate tells.
    let ticks = u128::from(ready_ns).saturating_mul(u128::from(at(Counter::TscHz))) / 1_000_000_000;
    rows.push(one("boot: kernel entry to prompt", u64::try_from(ticks).unwrap_or(u64::MAX), Some(400_000_000)));
    Ok(rows)
}
