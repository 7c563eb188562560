//! Accounts: limits, what they tell of themselves, and that filling one with
//! anything leaves nothing behind.

use abi::call::Call;
use abi::message::{Extras, LeaseAccess, LEASES};
use abi::quota::{Limit, Word, OBJECTS, WORDS};
use abi::{Error, Handle, Kind, Rights};
use kernel_core::address::VirtAddr;
use kernel_core::cap::namespace::words;
use kernel_core::cap::thread::Start;
use kernel_core::id::Id;
use kernel_core::mm::mapping::Backing;
use kernel_core::object::{Process, ProcessState, Quota, Thread};
use kernel_core::world::{Outcome, World};

const SELF_QUOTA: u64 = Handle::SELF_QUOTA.word();
const SELF_SPACE: u64 = Handle::SELF_SPACE.word();
const SELF_PROCESS: u64 = Handle::SELF_PROCESS.word();
const RW: u64 = 3;
const PAGE: u64 = 4096;
/// Where a filler's own page is: its IPC buffer, and room for arguments.
const HOME: u64 = 0x10_0000;
/// Where it maps things.
const AT: u64 = 0x5000_0000;
/// Pages of a filler's account.
const PAGES: u64 = 36;

/// A keeper with the root account, and what it makes.
struct Keeper {
    w: World,
    process: Id<Process>,
    thread: Id<Thread>,
    root: u64,
}

impl Keeper {
    fn new() -> Keeper {
        let mut w = World::new();
        let process = w.process();
        let thread = w.thread(process, 10);
        let root = w.quota_handle(process);
        Keeper { w, process, thread, root }
    }

    fn split(&mut self, of: u64, pages: u64) -> u64 {
        self.w.ok(self.thread, Call::QuotaSplit, &[of, pages, 0])[0]
    }

    fn usage(&mut self, quota: u64) -> [u64; WORDS] {
        let out = kernel_core::world::LENT;
        self.w.ok(self.thread, Call::QuotaUsage, &[quota, out, WORDS as u64 * 8]);
        let mut words = [0; WORDS];
        self.w.kernel.user_read_words(self.process, out, &mut words).unwrap();
        words
    }

    /// A process charged to an account in all it has, with two pages at [`HOME`] and a thread.
    fn filler(&mut self, quota: u64) -> (Id<Process>, Id<Thread>) {
        let quota: Id<Quota> = self.w.object(self.process, quota);
        let k = &self.w.kernel;
        let process = k.process_make(quota, words(b"filler"), 10, None).unwrap();
        let memory = k.memory_new(quota, 2, abi::memory::MemoryFlags::empty()).unwrap();
        let space = k.processes[process].space.get().unwrap();
        let rw = abi::memory::Protection::READ | abi::memory::Protection::WRITE;
        k.space_enter(space, HOME, 2, Backing::Memory(memory, 0), rw, rw).unwrap();
        let start =
            Start { entry: VirtAddr(HOME), stack: VirtAddr(HOME), argument: 0, buffer: VirtAddr(HOME), priority: 10 };
        let thread = k.thread_make(process, start).unwrap();
        k.user_write(process, HOME + PAGE, b"name").unwrap();
        (process, thread)
    }
}

impl Keeper {
    /// Ends a filler. Views of memory stay until they are released, as a bus manager does when the device is stopped.
    fn end_filler(&mut self, process: Id<Process>, quota: u64) {
        self.w.kill(process);
        let domains: Vec<_> = self.w.kernel.domains.iter_used().collect();
        for domain in domains {
            let all = Rights::all();
            let handle = self.w.kernel.cap_insert(self.process, Kind::DmaDomain, domain.raw(), all, None).unwrap();
            // Some frames at a time.
            while self.w.call(self.thread, Call::DomainRelease, &[handle.word()]) == Outcome::Failed(Error::Retry) {}
            self.w.ok(self.thread, Call::Close, &[handle.word()]);
        }
        self.w.ok(self.thread, Call::Close, &[quota]);
    }
}

/// One way to use up an account: makes the `n`th thing of its sort.
type Maker = fn(&mut World, Id<Process>, Id<Thread>, u64) -> Outcome;

fn call(w: &mut World, t: Id<Thread>, call: Call, args: &[u64]) -> Outcome {
    w.call(t, call, args)
}

/// What has been made first: each filler keeps the handle of its first thing where its page says.
fn keep(w: &mut World, p: Id<Process>, at: u64, outcome: Outcome) -> Result<u64, Outcome> {
    match outcome {
        Outcome::Done([handle, ..]) => {
            w.kernel.user_write(p, HOME + PAGE + 64 + at * 8, &handle.to_le_bytes()).unwrap();
            Ok(handle)
        }
        other => Err(other),
    }
}

fn kept(w: &World, p: Id<Process>, at: u64) -> u64 {
    let mut word = [0];
    w.kernel.user_read_words(p, HOME + PAGE + 64 + at * 8, &mut word).unwrap();
    word[0]
}

/// The handle that a filler has kept, made with this call if there is none yet.
fn first(w: &mut World, p: Id<Process>, t: Id<Thread>, at: u64, what: Call, args: &[u64]) -> Result<u64, Outcome> {
    match kept(w, p, at) {
        0 => {
            let made = call(w, t, what, args);
            keep(w, p, at, made)
        }
        handle => Ok(handle),
    }
}

const MAKERS: &[(&str, Maker)] = &[
    ("Notification", |w, _, t, _| call(w, t, Call::NotificationCreate, &[SELF_QUOTA])),
    ("Endpoint", |w, _, t, _| call(w, t, Call::EndpointCreate, &[SELF_QUOTA])),
    ("Session", |w, p, t, n| match first(w, p, t, 0, Call::EndpointCreate, &[SELF_QUOTA]) {
        Ok(endpoint) => call(w, t, Call::SessionCreate, &[endpoint, n + 1, 0]),
        Err(outcome) => outcome,
    }),
    ("Reply", |w, _, t, _| call(w, t, Call::ReplyCreate, &[SELF_QUOTA])),
    ("Namespace", |w, _, t, _| call(w, t, Call::NamespaceCreate, &[SELF_QUOTA])),
    ("Memory", |w, _, t, _| call(w, t, Call::MemoryCreate, &[SELF_QUOTA, 10, 0])),
    ("Quota", |w, _, t, _| call(w, t, Call::QuotaSplit, &[SELF_QUOTA, 1, 0])),
    ("Process", |w, _, t, _| call(w, t, Call::ProcessCreate, &[SELF_QUOTA, HOME + PAGE, 4, 10, 0])),
    ("Thread", |w, _, t, _| call(w, t, Call::ThreadCreate, &[SELF_PROCESS, HOME, HOME, 0, HOME, 1])),
    ("watch", |w, p, t, n| match first(w, p, t, 0, Call::NotificationCreate, &[SELF_QUOTA]) {
        Ok(bell) => call(w, t, Call::ProcessWatch, &[SELF_PROCESS, bell, n + 1]),
        Err(outcome) => outcome,
    }),
    ("mapping", |w, p, t, n| match first(w, p, t, 0, Call::MemoryCreate, &[SELF_QUOTA, 10, 0]) {
        Ok(memory) => call(w, t, Call::SpaceMap, &[SELF_SPACE, memory, AT + n * 16 * PAGE, 0, PAGE, RW]),
        Err(outcome) => outcome,
    }),
    ("name", |w, p, t, n| {
        // A namespace takes 64 names: a fresh one for every 64.
        let fresh = n % 64 == 0;
        if fresh {
            let made = call(w, t, Call::NamespaceCreate, &[SELF_QUOTA]);
            if let Err(outcome) = keep(w, p, 1, made) {
                return outcome;
            }
        }
        let endpoint = match first(w, p, t, 0, Call::EndpointCreate, &[SELF_QUOTA]) {
            Ok(endpoint) => endpoint,
            Err(outcome) => return outcome,
        };
        let session = match first(w, p, t, 2, Call::SessionCreate, &[endpoint, 1, 0]) {
            Ok(session) => session,
            Err(outcome) => return outcome,
        };
        let name = format!("n{n:03}");
        w.kernel.user_write(p, HOME + PAGE + 16, name.as_bytes()).unwrap();
        call(w, t, Call::NamespaceBind, &[kept(w, p, 1), HOME + PAGE + 16, 4, session])
    }),
    ("capability", |w, p, t, _| match first(w, p, t, 0, Call::NotificationCreate, &[SELF_QUOTA]) {
        Ok(bell) => call(w, t, Call::Derive, &[bell, 0x1ff, 0, 0]),
        Err(outcome) => outcome,
    }),
    ("page", |w, p, t, n| match first(w, p, t, 0, Call::MemoryCreate, &[SELF_QUOTA, 600, 0]) {
        Ok(memory) => call(w, t, Call::MemoryWrite, &[memory, n * PAGE, HOME, 1]),
        Err(outcome) => outcome,
    }),
    ("page table", |w, p, t, n| {
        let memory = match first(w, p, t, 0, Call::MemoryCreate, &[SELF_QUOTA, 1, 0]) {
            Ok(memory) => memory,
            Err(outcome) => return outcome,
        };
        let at = AT + n * (1 << 30);
        match call(w, t, Call::SpaceMap, &[SELF_SPACE, memory, at, 0, PAGE, RW]) {
            Outcome::Done(_) => call(w, t, Call::LogWrite, &[kept(w, p, 7), at, 1]),
            other => other,
        }
    }),
    ("run of pages", |w, _, t, _| call(w, t, Call::MemoryCreate, &[SELF_QUOTA, 4, 1])),
    ("clone", |w, p, t, _| match first(w, p, t, 0, Call::MemoryCreate, &[SELF_QUOTA, 10, 0]) {
        Ok(memory) => call(w, t, Call::MemoryClone, &[memory, SELF_QUOTA, 0, 8, 0]),
        Err(outcome) => outcome,
    }),
    ("paged memory", |w, p, t, n| match first(w, p, t, 0, Call::EndpointCreate, &[SELF_QUOTA]) {
        Ok(endpoint) => call(w, t, Call::PagerCreate, &[endpoint, SELF_QUOTA, n, 4, 0]),
        Err(outcome) => outcome,
    }),
    ("EventQueue", |w, _, t, _| call(w, t, Call::QueueCreate, &[SELF_QUOTA, 4])),
    ("interest", |w, p, t, n| {
        if n % 64 == 0 {
            let made = call(w, t, Call::QueueCreate, &[SELF_QUOTA, 64]);
            if let Err(outcome) = keep(w, p, 1, made) {
                return outcome;
            }
        }
        let endpoint = match first(w, p, t, 0, Call::EndpointCreate, &[SELF_QUOTA]) {
            Ok(endpoint) => endpoint,
            Err(outcome) => return outcome,
        };
        // A session takes 256 interests: a fresh one for every 256.
        if n % 256 == 0 {
            let made = call(w, t, Call::SessionCreate, &[endpoint, n + 1, 0]);
            if let Err(outcome) = keep(w, p, 2, made) {
                return outcome;
            }
        }
        call(w, t, Call::QueueAdd, &[kept(w, p, 1), kept(w, p, 2), n, 1, 1])
    }),
    ("IoPorts", |w, p, t, n| call(w, t, Call::Derive, &[kept(w, p, 8), 0x1ff, n % 200, 1])),
    ("DeviceMemory", |w, p, t, n| call(w, t, Call::Derive, &[kept(w, p, 9), 0x1ff, n % 64 * PAGE, PAGE])),
    ("Interrupt", |w, p, t, _| call(w, t, Call::InterruptAllocate, &[kept(w, p, 10), u64::MAX, 0])),
    ("DmaDomain", |w, p, t, n| call(w, t, Call::DomainCreate, &[kept(w, p, 11), SELF_QUOTA, n + 1])),
    ("Pin", |w, p, t, _| {
        let memory = match first(w, p, t, 0, Call::MemoryCreate, &[SELF_QUOTA, 1, 0]) {
            Ok(memory) => memory,
            Err(outcome) => return outcome,
        };
        match first(w, p, t, 1, Call::DomainCreate, &[kept(w, p, 11), SELF_QUOTA, 1]) {
            Ok(domain) => call(w, t, Call::DomainPin, &[domain, memory, 0, 8]),
            Err(outcome) => outcome,
        }
    }),
    ("lease", |w, p, t, _| {
        // Nobody receives: each thread lends all that a call can, and waits.
        let endpoint = match first(w, p, t, 0, Call::EndpointCreate, &[SELF_QUOTA]) {
            Ok(endpoint) => endpoint,
            Err(outcome) => return outcome,
        };
        let session = match first(w, p, t, 1, Call::SessionCreate, &[endpoint, 1, 0]) {
            Ok(session) => session,
            Err(outcome) => return outcome,
        };
        another_thread(w, p, t, |w, thread| {
            for n in 0..LEASES {
                w.lend(thread, n, HOME, 8, LeaseAccess::READ, 0);
            }
            w.call(thread, Call::Call, &[session, 0, Extras::new(0, LEASES, false).0])
        })
    }),
    ("parked call", |w, p, t, _| {
        another_thread(w, p, t, |w, thread| w.call(thread, Call::UpcallHandler, &[HOME, 0, 0, 0]))
    }),
];

/// Makes a thread that does something; that it waits then is as good as done.
fn another_thread(
    w: &mut World,
    p: Id<Process>,
    t: Id<Thread>,
    act: impl Fn(&mut World, Id<Thread>) -> Outcome,
) -> Outcome {
    let made = call(w, t, Call::ThreadCreate, &[SELF_PROCESS, HOME, HOME, 0, HOME, 1]);
    let Outcome::Done([handle, ..]) = made else { return made };
    let thread = w.object::<Thread>(p, handle);
    match act(w, thread) {
        Outcome::Waits => Outcome::Done([0; 4]),
        other => other,
    }
}

/// Gives a filler what it can't make itself: a capability to the log, for those who want memory looked at, ranges of ports and
/// registers, interrupts, the root of devices' views of memory.
fn equip(w: &mut World, process: Id<Process>) {
    let root = w.kernel.root_quota();
    let ports = w.kernel.ports_new(root, 0, 256).unwrap();
    let registers = w.kernel.device_memory_new(root, 0, 64).unwrap();
    let interrupts = w.kernel.interrupt_root(root).unwrap();
    let domains = w.kernel.domain_new(root, true).unwrap();
    for (at, kind, object) in [
        (7, Kind::Log, 0),
        (8, Kind::IoPorts, ports.raw()),
        (9, Kind::DeviceMemory, registers.raw()),
        (10, Kind::Interrupt, interrupts.raw()),
        (11, Kind::DmaDomain, domains.raw()),
    ] {
        let handle = w.kernel.cap_insert(process, kind, object, Rights::all(), None).unwrap().word();
        w.kernel.user_write(process, HOME + PAGE + 64 + 8 * at, &handle.to_le_bytes()).unwrap();
    }
}

/// Fills the account of a process with one sort of thing; answers how many it got, and what ended it.
fn fill(w: &mut World, process: Id<Process>, thread: Id<Thread>, maker: Maker, most: u64) -> (u64, Option<Outcome>) {
    equip(w, process);
    for n in 0..most {
        match maker(w, process, thread, n) {
            Outcome::Done(_) => {}
            other => return (n, Some(other)),
        }
    }
    (most, None)
}

#[test]
fn an_account_filled_with_any_kind_of_object_leaves_nothing_behind_for_any_other() {
    let mut k = Keeper::new();
    // The keeper's own table and account pages are there before counting begins.
    let warm = k.split(k.root, 1);
    k.usage(k.root);
    let before = (k.w.kernel.frames.free(), k.usage(k.root));
    // (Address spaces come with processes.)
    let made = |object: &str| object == "AddressSpace" || MAKERS.iter().any(|(name, _)| *name == object);
    assert!(OBJECTS.into_iter().all(made), "every sort that is counted");
    // How many of each an account takes when nothing was there before.
    let mut counts = vec![];
    for (name, maker) in MAKERS {
        let quota = k.split(k.root, PAGES);
        let (process, thread) = k.filler(quota);
        let (count, end) = fill(&mut k.w, process, thread, *maker, u64::MAX);
        assert!(count > 0, "{name}: {end:?}");
        // (A table has a limit of its own, so that handles stay 16 bits wide.)
        let error = match *name {
            "capability" => Error::TableFull,
            // The machine has no more of them.
            "Interrupt" => Error::OutOfMemory,
            _ => Error::OutOfQuota,
        };
        assert_eq!(end, Some(Outcome::Failed(error)), "{name}: the caller is told, after {count}");
        let usage = k.usage(quota);
        if let Some(n) = OBJECTS.iter().position(|object| object == name) {
            assert!(usage[Word::Objects as usize + n] >= count, "{name}: its account counts them");
        }
        assert!(usage[Word::UsedPages as usize] <= PAGES);
        k.end_filler(process, quota);
        assert_eq!((k.w.kernel.frames.free(), k.usage(k.root)), before, "{name}: everything comes back");
        counts.push(count);
    }
    // After each of them, the same number of every other.
    for (name, maker) in MAKERS {
        let quota = k.split(k.root, PAGES);
        let (process, thread) = k.filler(quota);
        fill(&mut k.w, process, thread, *maker, u64::MAX);
        k.end_filler(process, quota);
        for ((other, other_maker), count) in MAKERS.iter().zip(&counts) {
            let quota = k.split(k.root, PAGES);
            let (process, thread) = k.filler(quota);
            let (got, end) = fill(&mut k.w, process, thread, *other_maker, *count);
            assert_eq!((got, end), (*count, None), "{other} after {name}");
            k.end_filler(process, quota);
            assert_eq!((k.w.kernel.frames.free(), k.usage(k.root)), before, "{other} after {name}");
        }
    }
    k.w.ok(k.thread, Call::Close, &[warm]);
    k.w.end();
}

#[test]
fn limits_of_threads_and_processes_hold_for_a_whole_branch() {
    let mut k = Keeper::new();
    let branch = k.split(k.root, 400);
    let (left, right) = (k.split(branch, 150), k.split(branch, 150));
    k.w.ok(k.thread, Call::QuotaLimit, &[k.root, branch, Limit::Threads as u64, 4]);
    k.w.ok(k.thread, Call::QuotaLimit, &[branch, left, Limit::Threads as u64, 2]);
    k.w.ok(k.thread, Call::QuotaLimit, &[k.root, branch, Limit::Processes as u64, 3]);
    let (pl, tl) = k.filler(left);
    let (_, tr) = k.filler(right);
    let thread = |w: &mut World, t| w.call(t, Call::ThreadCreate, &[SELF_PROCESS, HOME, HOME, 0, HOME, 1]);
    assert!(matches!(thread(&mut k.w, tl), Outcome::Done(_)));
    assert_eq!(thread(&mut k.w, tl), Outcome::Failed(Error::OutOfQuota), "its own limit");
    assert!(matches!(thread(&mut k.w, tr), Outcome::Done(_)));
    assert_eq!(thread(&mut k.w, tr), Outcome::Failed(Error::OutOfQuota), "the limit above");
    let process = |w: &mut World, t| w.call(t, Call::ProcessCreate, &[SELF_QUOTA, HOME, 4, 10, 0]);
    assert!(matches!(process(&mut k.w, tr), Outcome::Done(_)));
    assert_eq!(process(&mut k.w, tl), Outcome::Failed(Error::OutOfQuota));
    let usage = k.usage(branch);
    assert_eq!((usage[Word::Threads as usize], usage[Word::Processes as usize]), (4, 3));
    // What ends makes room, all the way up.
    k.w.kill(pl);
    assert!(matches!(thread(&mut k.w, tr), Outcome::Done(_)));
    assert!(matches!(process(&mut k.w, tr), Outcome::Done(_)));
    k.w.ok(k.thread, Call::QuotaLimit, &[k.root, branch, Limit::Threads as u64, 0]);
    for _ in 0..5 {
        assert!(matches!(thread(&mut k.w, tr), Outcome::Done(_)), "0 is no limit");
    }
    k.w.end();
}

#[test]
fn pages_move_between_an_account_and_the_one_above() {
    let mut k = Keeper::new();
    let top = k.split(k.root, 100);
    let child = k.split(top, 40);
    let pages = |k: &mut Keeper, quota| {
        let usage = k.usage(quota);
        (usage[Word::LimitPages as usize], usage[Word::UsedPages as usize])
    };
    let set = |k: &mut Keeper, of, quota, value| k.w.call(k.thread, Call::QuotaLimit, &[of, quota, 0, value]);
    assert_eq!(pages(&mut k, top), (100, 41));
    assert!(matches!(set(&mut k, top, child, 90), Outcome::Done(_)));
    assert_eq!((pages(&mut k, top), pages(&mut k, child)), ((100, 91), (90, 0)));
    assert_eq!(set(&mut k, top, child, 100), Outcome::Failed(Error::OutOfQuota));
    let memory = k.w.ok(k.thread, Call::MemoryCreate, &[child, 20, 1])[0];
    assert_eq!(set(&mut k, top, child, 20), Outcome::Failed(Error::Busy), "it uses more");
    assert!(matches!(set(&mut k, top, child, 21), Outcome::Done(_)));
    assert_eq!(pages(&mut k, top), (100, 22));
    // Only through the account above, and only of what is directly below.
    assert_eq!(set(&mut k, child, child, 30), Outcome::Failed(Error::BadArgument));
    let root = k.root;
    assert_eq!(set(&mut k, root, child, 30), Outcome::Failed(Error::BadArgument));
    assert_eq!(k.w.err(k.thread, Call::QuotaLimit, &[top, child, 9, 30]), Error::BadArgument);
    assert_eq!(k.w.err(k.thread, Call::QuotaLimit, &[top, memory, 0, 30]), Error::WrongKind);
    assert_eq!(k.w.err(k.thread, Call::QuotaLimit, &[top, 0, 0, 30]), Error::BadHandle);
    let blind = k.w.ok(k.thread, Call::Derive, &[child, u64::from(Rights::MANAGE.bits()), 0, 0])[0];
    assert_eq!(k.w.err(k.thread, Call::QuotaLimit, &[top, blind, 0, 30]), Error::NoRight);
    assert_eq!(k.w.err(k.thread, Call::QuotaUsage, &[top, 8, 64]), Error::BadAddress);
    k.w.end();
}

#[test]
fn the_account_of_a_process_can_be_looked_at_but_not_spent() {
    let mut k = Keeper::new();
    let quota = k.split(k.root, PAGES);
    let (process, thread) = k.filler(quota);
    let number = k.w.kernel.processes[process].header.object_id.get();
    let view = k.w.ok(k.thread, Call::QuotaOpen, &[k.root, number])[0];
    let account = k.w.ok(k.thread, Call::ProcessQuota, &[view])[0];
    assert_eq!(k.usage(account), k.usage(quota));
    assert_eq!(k.w.err(k.thread, Call::QuotaSplit, &[account, 1, 0]), Error::NoRight);
    // It stems from the view of the process: who takes that back takes this too.
    k.w.ok(k.thread, Call::Revoke, &[k.root]);
    assert_eq!(k.w.err(k.thread, Call::Inspect, &[account]), Error::BadHandle);
    let view = k.w.ok(k.thread, Call::QuotaOpen, &[k.root, number])[0];
    k.w.force(thread);
    k.w.kernel.process_end(process, ProcessState::Killed, 0);
    let _ = k.w.kernel.leave(kernel_core::world::CPU);
    assert_eq!(k.w.err(k.thread, Call::ProcessQuota, &[view]), Error::Closed);
    k.w.end();
}

#[test]
fn a_process_pays_for_its_slot_and_gets_it_back() {
    let mut k = Keeper::new();
    k.w.kernel.process_price.set(32);
    let quota = k.split(k.root, 100);
    let before = k.usage(quota)[Word::UsedPages as usize];
    let made = k.w.ok(k.thread, Call::ProcessCreate, &[quota, HOME, 4, 10, 0]);
    let used = k.usage(quota)[Word::UsedPages as usize];
    assert!(used >= before + 32);
    let second = k.w.ok(k.thread, Call::ProcessCreate, &[quota, HOME, 4, 10, 0]);
    assert_eq!(k.w.err(k.thread, Call::ProcessCreate, &[quota, HOME, 4, 10, 0]), Error::OutOfQuota);
    for [process, space, ..] in [made, second] {
        k.w.ok(k.thread, Call::ProcessKill, &[process, 0]);
        k.w.ok(k.thread, Call::Close, &[space]);
        k.w.ok(k.thread, Call::Close, &[process]);
    }
    assert_eq!(k.usage(quota)[Word::UsedPages as usize], before);
    k.w.kernel.process_price.set(0);
}
