//! A process that holds a capability of each kind there is.

use abi::boot::InitHandle;
use abi::call::Call;
use abi::memory::Protection;
use abi::{Error, Handle, Kind, Rights};
use kernel_core::boot::Init;
use kernel_core::id::Id;
use kernel_core::object::{Process, Thread};
use kernel_core::test_machine::Driver;

/// The process's own memory: its first page has been touched, the others have not.
pub const BASE: u64 = Driver::<0>::BASE;
/// A page that is not in memory yet.
pub const FRESH: u64 = BASE + 8 * 4096;
/// Where nothing is mapped.
pub const NOWHERE: u64 = 0x7000_0000;
/// The name at [`BASE`], which the namespace binds.
pub const NAME: &[u8; 4] = b"name";
/// Where many pages are mapped, once that was asked for.
pub const WIDE: u64 = 0x3000_0000;
pub const WIDE_PAGES: u64 = 8192;
/// The tag of the domain.
pub const TAG: u64 = 0x1234;

/// The process, and its handles.
pub struct Scene {
    pub d: Driver,
    pub quota: u64,
    pub endpoint: u64,
    pub session: u64,
    pub reply: u64,
    pub notification: u64,
    pub namespace: u64,
    pub memory: u64,
    pub paged: u64,
    pub queue: u64,
    pub process: u64,
    pub space: u64,
    pub thread: u64,
    pub system: u64,
    pub log: u64,
    pub ports: u64,
    pub interrupts: u64,
    pub domains: u64,
    pub domain: u64,
    /// A process without threads and its space.
    pub child: u64,
    pub child_space: u64,
}

/// A thread that runs nowhere, for the capability to it.
fn thread(d: &Driver) -> Id<Thread> {
    use kernel_core::address::VirtAddr;
    use kernel_core::cap::thread::Start;
    let at = VirtAddr(BASE);
    let start = Start { entry: at, stack: at, argument: 0, buffer: at, priority: 1 };
    d.kernel.thread_make(d.process, start).expect("there is memory")
}

impl Scene {
    pub fn new() -> Scene {
        let mut d = Driver::default();
        let initfs = d.kernel.frames.take_run(1, false).expect("it is free");
        let init = Init { name: b"init", initfs, initfs_pages: 1, acpi_first_page: 0x10_0000, acpi_pages: 1 };
        let init = d.kernel.boot_init(init).expect("there is memory");
        d.poke(0, NAME);
        let me = d.process;
        let root = |d: &Driver, at: InitHandle| give(d, init, at.handle(), me);
        let quota = root(&d, InitHandle::Quota);
        let make = |d: &mut Driver, call: Call, args: &[u64]| d.make(call, args).expect("it can be made").word();
        let own = |d: &Driver, kind: Kind, object: u32| {
            d.kernel.cap_insert(me, kind, object, Rights::all(), None).expect("there is room").word()
        };
        let endpoint = make(&mut d, Call::EndpointCreate, &[quota]);
        let session = make(&mut d, Call::SessionCreate, &[endpoint, 1, 0]);
        let namespace = make(&mut d, Call::NamespaceCreate, &[quota]);
        d.call(Call::NamespaceBind, &[namespace, BASE, NAME.len() as u64, session]).expect("it is free");
        let memory = make(&mut d, Call::MemoryCreate, &[quota, 4, 0]);
        d.call(Call::MemoryWrite, &[memory, 0, BASE, 4]).expect("it can be written");
        let domains = root(&d, InitHandle::DmaDomain);
        let log = root(&d, InitHandle::Log);
        d.call(Call::LogWrite, &[log, BASE, 4]).expect("it takes lines");
        let child = [quota, BASE, NAME.len() as u64, 1, namespace];
        let [child, child_space, ..] = d.call(Call::ProcessCreate, &child).expect("it can be made");
        let space = d.kernel.processes[me].space.get().expect("it runs").raw();
        d.thread = thread(&d);
        Scene {
            quota,
            endpoint,
            session,
            reply: make(&mut d, Call::ReplyCreate, &[quota]),
            notification: make(&mut d, Call::NotificationCreate, &[quota]),
            namespace,
            memory,
            paged: make(&mut d, Call::PagerCreate, &[endpoint, quota, 1, 4096, 0]),
            queue: make(&mut d, Call::QueueCreate, &[quota, 4]),
            process: own(&d, Kind::Process, me.raw()),
            space: own(&d, Kind::AddressSpace, space),
            thread: own(&d, Kind::Thread, d.thread.raw()),
            system: root(&d, InitHandle::System),
            log,
            ports: root(&d, InitHandle::IoPorts),
            interrupts: root(&d, InitHandle::Interrupt),
            domains,
            child,
            child_space,
            domain: make(&mut d, Call::DomainCreate, &[domains, quota, TAG]),
            d,
        }
    }

    /// The handle of this kind.
    pub fn of(&self, kind: &str) -> u64 {
        match kind {
            "Process" => self.process,
            "Thread" => self.thread,
            "AddressSpace" => self.space,
            "Memory" => self.memory,
            "Endpoint" => self.endpoint,
            "Session" => self.session,
            "Reply" => self.reply,
            "Notification" => self.notification,
            "EventQueue" => self.queue,
            "Namespace" => self.namespace,
            "Quota" => self.quota,
            "DmaDomain" => self.domain,
            "Interrupt" => self.interrupts,
            "IoPorts" => self.ports,
            "System" => self.system,
            "Log" => self.log,
            other => panic!("no row asks for {other}"),
        }
    }

    /// A capability like the one of this kind, less a right.
    pub fn without(&mut self, kind: &str, right: Rights) -> u64 {
        let rest = Rights::all().difference(right);
        if kind == "Reply" {
            // They are not derived from.
            let raw = self.d.kernel.replies.iter_used().next().expect("there is one").raw();
            return self.d.kernel.cap_insert(self.d.process, Kind::Reply, raw, rest, None).expect("room").word();
        }
        let whole = self.of(kind);
        self.d.make(Call::Derive, &[whole, u64::from(rest.bits()), 0, 0]).expect("derived").word()
    }

    /// Maps many pages, page by page apart, for calls that cut mappings.
    pub fn map_wide(&mut self) {
        let quota = self.quota;
        let wide = self.d.make(Call::MemoryCreate, &[quota, WIDE_PAGES, 0]).expect("it can be made").word();
        let args = [Handle::SELF_SPACE.word(), wide, WIDE, 0, WIDE_PAGES * 4096, RW];
        self.d.call(Call::SpaceMap, &args).expect("it is free");
    }

    /// Begins to revoke what a handle has, far from done.
    pub fn being_revoked(&mut self, handle: u64) {
        let mut last = handle;
        for _ in 0..100 {
            let all = u64::from(Rights::all().bits());
            last = self.d.make(Call::Derive, &[last, all, 0, 0]).expect("derived").word();
        }
        self.d.kernel.machine.interrupt_every(1);
        self.refused(Call::Revoke, &[handle], Error::Retry);
    }

    /// A call that has to fail.
    #[track_caller]
    pub fn refused(&mut self, call: Call, args: &[u64], error: Error) {
        assert_eq!(self.d.call(call, args), Err(error), "{call:?}");
    }

    /// Fills the capability table.
    pub fn fill_table(&self) {
        let (me, raw) = (self.d.process, self.d.process.raw());
        while self.d.kernel.cap_insert(me, Kind::Process, raw, Rights::INSPECT, None).is_ok() {}
    }

    /// Uses up what the account has left.
    pub fn fill_quota(&self) {
        let root = self.d.kernel.root_quota();
        while self.d.kernel.charge(root, 1).is_ok() {}
    }

    /// Takes every free frame.
    pub fn take_frames(&self) {
        while self.d.kernel.frames.take().is_some() {}
    }
}

/// Derives a capability of one process's into another's table.
fn give(d: &Driver, from: Id<Process>, handle: Handle, to: Id<Process>) -> u64 {
    d.kernel.cap_transfer(from, handle, Rights::all(), to).expect("it may be given").0.word()
}

/// Readable and writable.
pub const RW: u64 = (Protection::READ.bits() | Protection::WRITE.bits()) as u64;
