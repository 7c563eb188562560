//! How one more of each kind of object is made.

use super::tally::Tally;
use crate::raw;
use abi::call::Call;
use abi::event::Mode;
use abi::memory::{MemoryFlags, PagerFlags, Protection, PAGE_SIZE as PAGE};
use abi::{Error, Handle, Kind, Result, Rights};
use scheme::rt::{calls, clone, event, pager};

/// One kind of thing that an account pays for.
pub struct Sort {
    /// Its name.
    pub name: &'static str,
    /// Makes one more.
    pub make: fn(&mut Maker) -> Result<()>,
}

impl Sort {
    /// Whether this is an error that there may be no more for: a table of capabilities has a limit of its own.
    pub fn ends_with(&self, error: Error) -> bool {
        error == Error::OutOfQuota || (self.name == "capability" && error == Error::TableFull)
    }
}

/// Where mappings go, far from anything else.
const FAR: u64 = 0x1000_0000_0000;
/// Apart so far that each has page tables of its own.
const TABLES_APART: u64 = 1 << 30;
/// Names in one namespace.
const NAMES: u64 = 64;
/// Interests in one queue, and in one session.
const INTERESTS: u64 = 32;
const WATCHERS: u64 = 256;
const LOADS: u64 = Protection::READ.bits() as u64;

/// A filler's own books: what it made first, and its count.
pub struct Maker {
    /// The count.
    pub tally: Tally,
    endpoint: Handle,
    session: Handle,
    notification: Handle,
    memory: Handle,
    namespace: Handle,
    queue: Handle,
    process: Handle,
    badge: u64,
}

impl Maker {
    /// Nothing made yet.
    pub fn new() -> Maker {
        let [endpoint, session, notification, memory, namespace, queue, process] = [Handle::NONE; 7];
        Maker { tally: Tally::new(), endpoint, session, notification, memory, namespace, queue, process, badge: 0 }
    }

    fn rounds(&self) -> u64 {
        self.tally.rounds()
    }

    /// Counts a fresh object and its capability.
    fn made(&mut self, kind: Kind, handle: Result<Handle>) -> Result<Handle> {
        let handle = handle?;
        self.tally.made(kind);
        Ok(handle)
    }

    fn endpoint(&mut self) -> Result<Handle> {
        if self.endpoint.is_none() {
            self.endpoint = self.made(Kind::Endpoint, calls::endpoint_create(Handle::SELF_QUOTA))?;
        }
        Ok(self.endpoint)
    }

    fn fresh_session(&mut self) -> Result<Handle> {
        let endpoint = self.endpoint()?;
        self.badge += 1;
        self.made(Kind::Session, calls::session_create(endpoint, self.badge, 0))
    }

    fn session(&mut self) -> Result<Handle> {
        if self.session.is_none() {
            self.session = self.fresh_session()?;
        }
        Ok(self.session)
    }

    fn notification(&mut self) -> Result<Handle> {
        if self.notification.is_none() {
            self.notification = self.made(Kind::Notification, calls::notification_create(Handle::SELF_QUOTA))?;
        }
        Ok(self.notification)
    }

    /// A Memory of many pages, none of them there.
    fn memory(&mut self) -> Result<Handle> {
        if self.memory.is_none() {
            self.memory = self.fresh_memory(1 << 16, MemoryFlags::empty())?;
        }
        Ok(self.memory)
    }

    fn fresh_memory(&mut self, pages: u64, flags: MemoryFlags) -> Result<Handle> {
        self.made(Kind::Memory, calls::memory_create(Handle::SELF_QUOTA, pages, flags))
    }

    /// A process without threads.
    fn fresh_process(&mut self) -> Result<(Handle, Handle)> {
        let (process, space) = calls::process_create(Handle::SELF_QUOTA, "f", 1, Handle::NONE)?;
        self.tally.made(Kind::Process);
        self.tally.made(Kind::AddressSpace);
        self.tally.object("Namespace");
        Ok((process, space))
    }

    fn map(&mut self, space: Handle, memory: Handle, address: u64) -> Result<()> {
        raw::any_call(Call::SpaceMap, [space.word(), memory.word(), address, 0, PAGE, LOADS])?;
        self.tally.object("mapping");
        Ok(())
    }
}

fn name(maker: &mut Maker) -> Result<()> {
    let session = maker.session()?;
    if maker.rounds().is_multiple_of(NAMES) {
        maker.namespace = maker.made(Kind::Namespace, calls::namespace_create(Handle::SELF_QUOTA))?;
    }
    // Two letters tell the names of one namespace apart.
    let n = maker.rounds() % NAMES;
    let letters = [b'a' + (n / 8) as u8, b'a' + (n % 8) as u8];
    let name = core::str::from_utf8(&letters).map_err(|_| Error::Corrupt)?;
    calls::namespace_bind(maker.namespace, name, session)?;
    maker.tally.object("name");
    Ok(())
}

fn interest(maker: &mut Maker) -> Result<()> {
    if maker.rounds().is_multiple_of(WATCHERS) {
        maker.session = maker.fresh_session()?;
    }
    let session = maker.session;
    if maker.rounds().is_multiple_of(INTERESTS) {
        maker.queue = maker.made(Kind::EventQueue, event::queue_create(Handle::SELF_QUOTA, INTERESTS))?;
    }
    event::queue_add(maker.queue, session, maker.rounds(), 1, Mode::Level)?;
    maker.tally.object("interest");
    Ok(())
}

fn thread(maker: &mut Maker) -> Result<()> {
    if maker.process.is_none() {
        let memory = maker.fresh_memory(1, MemoryFlags::empty())?;
        let (process, space) = maker.fresh_process()?;
        let write = u64::from((Protection::READ | Protection::WRITE).bits());
        raw::any_call(Call::SpaceMap, [space.word(), memory.word(), FAR, 0, PAGE, write])?;
        maker.tally.object("mapping");
        maker.process = process;
    }
    // Of the lowest priority: it does not run as long as anyone else has something to do.
    raw::any_call(Call::ThreadCreate, [maker.process.word(), FAR, FAR, 0, FAR, 1])?;
    maker.tally.made(Kind::Thread);
    Ok(())
}

fn watch(maker: &mut Maker) -> Result<()> {
    let notification = maker.notification()?;
    calls::process_watch(Handle::SELF_PROCESS, notification, maker.rounds() + 1)?;
    maker.tally.object("watch");
    Ok(())
}

fn page_table(maker: &mut Maker) -> Result<()> {
    let memory = maker.memory()?;
    let address = FAR + maker.rounds() * TABLES_APART;
    maker.map(Handle::SELF_SPACE, memory, address)?;
    // The kernel looks at the page as this process would: it enters a translation, or says why it can't. (A load of our
    // own would end this process.)
    raw::any_call(Call::MemoryWrite, [memory.word(), PAGE, address, 1, 0, 0]).map(|_| ())
}

/// All kinds that a process can make with nothing but its account.
pub const SORTS: &[Sort] = &[
    Sort {
        name: "Notification",
        make: |m| m.made(Kind::Notification, calls::notification_create(Handle::SELF_QUOTA)).map(drop),
    },
    Sort { name: "Endpoint", make: |m| m.made(Kind::Endpoint, calls::endpoint_create(Handle::SELF_QUOTA)).map(drop) },
    Sort { name: "Session", make: |m| m.fresh_session().map(drop) },
    Sort { name: "Reply", make: |m| m.made(Kind::Reply, calls::reply_create(Handle::SELF_QUOTA)).map(drop) },
    Sort {
        name: "Namespace",
        make: |m| m.made(Kind::Namespace, calls::namespace_create(Handle::SELF_QUOTA)).map(drop),
    },
    Sort { name: "name", make: name },
    Sort { name: "Memory", make: |m| m.fresh_memory(10, MemoryFlags::empty()).map(drop) },
    Sort { name: "run", make: |m| m.fresh_memory(3, MemoryFlags::CONTIGUOUS).map(drop) },
    Sort {
        name: "clone",
        make: |m| {
            let memory = m.memory()?;
            m.made(Kind::Memory, clone::memory_clone(memory, Handle::SELF_QUOTA, 0, 8)).map(drop)
        },
    },
    Sort {
        name: "paged",
        make: |m| {
            let endpoint = m.endpoint()?;
            let key = m.rounds();
            m.made(Kind::Memory, pager::create(endpoint, Handle::SELF_QUOTA, key, 4, PagerFlags::empty())).map(drop)
        },
    },
    Sort {
        name: "page",
        make: |m| {
            let memory = m.memory()?;
            calls::memory_write(memory, m.rounds() * PAGE, &[1])
        },
    },
    Sort {
        name: "mapping",
        make: |m| {
            let memory = m.memory()?;
            m.map(Handle::SELF_SPACE, memory, FAR + m.rounds() * 2 * PAGE)
        },
    },
    Sort { name: "page table", make: page_table },
    Sort { name: "Quota", make: |m| m.made(Kind::Quota, calls::quota_split(Handle::SELF_QUOTA, 1, 0)).map(drop) },
    Sort { name: "Process", make: |m| m.fresh_process().map(drop) },
    Sort { name: "Thread", make: thread },
    Sort { name: "watch", make: watch },
    Sort {
        name: "EventQueue",
        make: |m| m.made(Kind::EventQueue, event::queue_create(Handle::SELF_QUOTA, 4)).map(drop),
    },
    Sort { name: "interest", make: interest },
    Sort {
        name: "capability",
        make: |m| {
            let notification = m.notification()?;
            calls::derive(notification, Rights::all())?;
            m.tally.capability(Kind::Notification);
            Ok(())
        },
    },
];
