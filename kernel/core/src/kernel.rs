//! The kernel as one value.
//!
//! Nothing here is policy: the fields, who finds them, and the boot-time carving that brings the value
//! into being. Methods stand in the modules of the nouns.

use crate::arena::{Arena, ArenaItem, ArenaKind, PageSlot};
use crate::log::Log;
use crate::mm::frames::Frames;
use crate::object::{
    Cap, Cpu, DeviceMemory, DmaDomain, Endpoint, EventQueue, FrameInfo, Interest, Interrupt, IoPorts, Lease, Mapping,
    Memory, Name, Namespace, Notification, Parked, Pin, Process, Quota, Reply, Session, Space, Thread, Watch,
};
use crate::reaper::Reaper;
use crate::{CpuId, Field, FrameNumber, Id, Link, Machine};
use abi::boot::Region;
use abi::{Error, Result};

/// What the machine layer does when a handler returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Run this thread: load its registers and its root (if it is not the one loaded).
    Run(Id<Thread>),
    /// Nothing to run: wait for an interrupt.
    Idle,
    /// There is more to do, and another processor waits: let it in, then `leave` again.
    Again,
}

/// The most processors.
pub const CPUS: usize = 64;

/// A type whose objects the kernel keeps in an arena.
pub trait InKernel: ArenaItem {
    /// That arena.
    fn arena<M: Machine>(kernel: &Kernel<M>) -> &Arena<Self>;
}

macro_rules! kernel {
    ($($(#[$doc:meta])* $field:ident: $item:ident,)+) => {
        /// Everything the kernel knows. Methods are in the modules of the nouns.
        pub struct Kernel<M: Machine> {
            /// The hardware.
            pub machine: M,
            /// One entry a processor.
            pub cpus: &'static [Cpu],
            /// The last object id given.
            pub last_object_id: Field<u64>,
            /// Info on each frame, by frame number.
            pub frames: Frames,
            /// Frames set aside at boot for the kernel's page tables under the arenas (`FrameInfo::next` links them).
            pub spare: Field<FrameNumber>,
            /// Who gets which interrupt.
            pub irq: crate::irq::Irq,
            /// What ends in steps.
            pub reaper: Reaper,
            /// The log, and the reports on faults.
            pub log: Log,
            /// The security policy and the audit record.
            pub security: crate::security::Security,
            /// The account of all memory.
            pub root_quota: Field<Link<Quota>>,
            /// Root of the tree of all processes (`Process::all`), keyed by object id.
            pub all_processes: Field<u32>,
            /// Root of the tree of devices' views of memory that have a tag (`DmaDomain::by_tag`).
            pub domains_by_tag: Field<u32>,
            /// Memory objects that have a pager (`Memory::in_paged`).
            pub paged: crate::object::ListHead,
            /// The page that was wanted last and is not there.
            pub wanted: crate::mm::pager::Wanted,
            /// Pages that an account pays for a process, beside the memory it uses.
            pub process_price: Field<u64>,
            /// What init may ask about how the system was started: `abi::boot::BootWord` words.
            pub boot_words: [Field<u64>; BOOT_WORDS],
            $($(#[$doc])* pub $field: Arena<$item>,)+
        }
        $(impl InKernel for $item {
            #[inline(always)]
            fn arena<M: Machine>(kernel: &Kernel<M>) -> &Arena<Self> { &kernel.$field }
        })+

        impl<M: Machine> Kernel<M> {
            /// Takes over the memory that the loader told of. Nothing exists yet but the root account, which holds
            /// every frame that is left. Errors: `OutOfMemory` (there is not even memory for the bookkeeping).
            pub fn new(machine: M, regions: &[Region]) -> Result<Kernel<M>> {
                let frames = Frames::new(&machine, regions).ok_or(Error::OutOfMemory)?;
                let pages = [$((<$item as ArenaItem>::KIND, pages_of::<M, $item>(&frames)),)+];
                let (mut infos, tables) = carve(&machine, &frames, &pages)?;
                $(let $field = arena::<M, $item>(&machine, &frames, &mut infos);)+
                let cpus = cpus(&machine, &frames)?;
                let log = Log::new(&machine, &frames)?;
                let kernel = Kernel {
                    cpus,
                    last_object_id: Field::new(0),
                    spare: Field::new(FrameNumber(0)),
                    irq: crate::irq::Irq::new(),
                    reaper: Reaper::default(),
                    log,
                    security: crate::security::Security::new(),
                    root_quota: Field::new(None),
                    all_processes: Field::new(0),
                    domains_by_tag: Field::new(0),
                    paged: crate::object::ListHead::default(),
                    wanted: crate::mm::pager::Wanted::default(),
                    boot_words: core::array::from_fn(|_| Field::new(0)),
                    process_price: Field::new(process_price::<M>(frames.total() as usize)),
                    $($field,)+
                    frames,
                    machine,
                };
                kernel.set_tables_aside(tables)?;
                kernel.root_quota_create()?;
                Ok(kernel)
            }
        }
    };
}

/// Words of boot information: the numbers of `abi::boot::BootWord`, and the command line.
pub const BOOT_WORDS: usize = abi::boot::BootWord::CommandLine as usize + abi::boot::COMMAND_LINE / 8;

kernel! {
    /// Processes.
    processes: Process,
    /// Threads.
    threads: Thread,
    /// Address spaces.
    spaces: Space,
    /// Memory objects.
    memories: Memory,
    /// Endpoints.
    endpoints: Endpoint,
    /// Sessions.
    sessions: Session,
    /// Replies.
    replies: Reply,
    /// Notifications.
    notifications: Notification,
    /// Namespaces.
    namespaces: Namespace,
    /// Names in namespaces.
    names: Name,
    /// Accounts.
    quotas: Quota,
    /// DMA domains.
    domains: DmaDomain,
    /// Pins.
    pins: Pin,
    /// Interrupts.
    interrupts: Interrupt,
    /// Port ranges.
    ports: IoPorts,
    /// Device register ranges.
    device_memories: DeviceMemory,
    /// Mappings.
    mappings: Mapping,
    /// Leases.
    leases: Lease,
    /// Watches on processes.
    watches: Watch,
    /// Event queues.
    event_queues: EventQueue,
    /// What event queues want to know.
    interests: Interest,
    /// Calls in flight under an upcall.
    parked: Parked,
    /// Capability tables: process number p has the entries from p × `Machine::TABLE_ENTRIES` on.
    caps: Cap,
}

/// Pages that the address range of an arena gets: as many as could ever be used at once with this memory, so that nobody
/// makes one kind of object run out for others. Processes are fewer, since each has a table: an account pays for
/// its share of them ([`process_price`]).
fn pages_of<M: Machine, T: ArenaItem>(frames: &Frames) -> usize {
    let frames = frames.total() as usize;
    // Page 0 is never used, so process numbers, and with them tables, begin a page's worth later.
    let processes = process_slots::<M>(frames).next_multiple_of(Arena::<Process>::PER_PAGE);
    let processes = processes.saturating_add(Arena::<Process>::PER_PAGE);
    match T::KIND {
        ArenaKind::Cap => processes.saturating_mul(M::TABLE_ENTRIES).div_ceil(Arena::<T>::PER_PAGE),
        ArenaKind::Process => processes.div_ceil(Arena::<T>::PER_PAGE),
        _ => M::ARENA_PAGES.min(frames).saturating_add(1),
    }
}

/// Processes that there is room for with this memory.
fn process_slots<M: Machine>(frames: usize) -> usize {
    M::PROCESSES.min(frames.checked_div(M::PROCESS_PAGES).unwrap_or(M::PROCESSES)).max(1)
}

/// What an account pays for a process beside the memory it uses: so much that all memory there is pays for no more
/// processes than there is room for.
fn process_price<M: Machine>(frames: usize) -> u64 {
    match M::PROCESS_PAGES {
        0 => 0,
        _ => frames.div_ceil(process_slots::<M>(frames)) as u64,
    }
}

/// Items whose pages are all there from the start, for good.
fn backed<M: Machine, T: ArenaItem>(machine: &M, frames: &Frames, items: usize) -> Result<&'static [T]> {
    let table = machine.reserve::<T>(T::KIND, items);
    let zeroed = || {
        let frame = frames.take()?;
        machine.zero_frame(frame);
        Some(frame)
    };
    for page in 0..items.div_ceil(Arena::<T>::PER_PAGE) {
        let frame = zeroed().ok_or(Error::OutOfMemory)?;
        machine.back(T::KIND, page, frame, &mut || zeroed()).map_err(|_| Error::OutOfMemory)?;
    }
    Ok(table)
}

/// What belongs to each processor; nothing runs there yet.
fn cpus<M: Machine>(machine: &M, frames: &Frames) -> Result<&'static [Cpu]> {
    let cpus = backed::<M, Cpu>(machine, frames, machine.cpu_count().clamp(1, CPUS))?;
    for (number, cpu) in cpus.iter().enumerate() {
        cpu.id.set(CpuId(number as u8));
        cpu.attention.set(true);
        cpu.armed_ns.set(crate::sched::NEVER);
    }
    Ok(cpus)
}

/// The bookkeeping of all arena pages, backed, and the number of page tables that the arenas could ever need.
fn carve<M: Machine>(
    machine: &M,
    frames: &Frames,
    arenas: &[(ArenaKind, usize)],
) -> Result<(&'static [PageSlot], usize)> {
    let booked = arenas.iter().filter(|(kind, _)| *kind != ArenaKind::Cap);
    let all = booked.map(|(_, pages)| *pages).fold(0, usize::saturating_add);
    let infos = all.next_multiple_of(Arena::<PageSlot>::PER_PAGE);
    let table = backed::<M, PageSlot>(machine, frames, infos)?;
    // Entries of one table, then of a table of tables; each range can begin and end in the middle of one.
    let tables = |n: usize| (n / 512).saturating_add(n / (512 * 512)).saturating_add(4);
    Ok((table, arenas.iter().map(|(_, pages)| tables(*pages)).fold(0, usize::saturating_add)))
}

/// One arena, with its part of the bookkeeping. The capability arena has none: tables belong to processes.
fn arena<M: Machine, T: ArenaItem>(machine: &M, frames: &Frames, infos: &mut &'static [PageSlot]) -> Arena<T> {
    let pages = pages_of::<M, T>(frames);
    let items = machine.reserve::<T>(T::KIND, pages.saturating_mul(Arena::<T>::PER_PAGE));
    let booked = if T::KIND == ArenaKind::Cap { 0 } else { pages };
    let (mine, rest) = infos.split_at_checked(booked).expect("invariant: the bookkeeping was carved for all arenas");
    *infos = rest;
    Arena::new(items, mine, frames.infos())
}

impl<M: Machine> Kernel<M> {
    /// The thread on a processor.
    #[inline(always)]
    pub fn current(&self, cpu: CpuId) -> Link<Thread> {
        self.cpu(cpu).current.get()
    }

    /// Info on a frame of RAM.
    pub fn frame_info(&self, frame: FrameNumber) -> Option<&FrameInfo> {
        self.frames.info(frame)
    }

    /// The arena of a type.
    #[inline(always)]
    pub fn arena<T: InKernel>(&self) -> &Arena<T> {
        T::arena(self)
    }

    /// Sets frames aside for the kernel's own page tables, so that backing an arena page never competes with users.
    fn set_tables_aside(&self, tables: usize) -> Result<()> {
        for _ in 0..tables {
            let frame = self.frames.take().ok_or(Error::OutOfMemory)?;
            let info = self.frames.info(frame).expect("invariant: a frame taken is RAM");
            info.next.set(self.spare.replace(frame).0);
        }
        Ok(())
    }

    /// A zeroed frame for a kernel page table, out of those set aside.
    pub fn spare_table(&self) -> Option<FrameNumber> {
        let frame = self.spare.get();
        let info = self.frames.info(frame).filter(|_| frame.0 != 0)?;
        self.spare.set(FrameNumber(info.next.replace(0)));
        self.machine.zero_frame(frame);
        Some(frame)
    }

    /// The next object id.
    pub fn fresh_object_id(&self) -> u64 {
        self.last_object_id.update(|id| id.wrapping_add(1));
        self.last_object_id.get()
    }
}
