//! A world with a policy, and processes with labels in it.

use abi::call::Call;
use abi::message::{buffer, Extras};
use abi::security::{Record, Shape, RECORD_LENGTH, RECORD_WORDS, RIGHTS};
use abi::{Handle, Kind, Rights};
use kernel_core::id::Id;
use kernel_core::object::{Process, Thread};
use kernel_core::world::{World, LENT};

/// Subjects beside default (0) and init (1).
pub const SERVER: u32 = 2;
pub const CLIENT: u32 = 3;
pub const STRANGER: u32 = 4;
/// A type that clients may use; one that they may only look at; one that only init may make.
pub const OPEN: u32 = 1;
pub const SHUT: u32 = 2;
pub const RARE: u32 = 3;
/// What a client may do with `OPEN`.
pub const CLIENT_RIGHTS: Rights = Rights::SEND.union(Rights::INSPECT);

pub const SHAPE: Shape = Shape { subjects: 5, types: 4 };

/// The policy that these tests have, as init would write it.
pub fn bytes() -> Vec<u8> {
    let mut policy = SHAPE.header().to_vec();
    policy.resize(SHAPE.length(), 0);
    for object_type in [OPEN, SHUT, RARE] {
        SHAPE.allow(&mut policy, 1, object_type, RIGHTS);
    }
    SHAPE.allow(&mut policy, SERVER, OPEN, RIGHTS);
    SHAPE.allow(&mut policy, SERVER, SHUT, RIGHTS);
    SHAPE.allow(&mut policy, CLIENT, OPEN, CLIENT_RIGHTS);
    SHAPE.allow(&mut policy, CLIENT, SHUT, Rights::INSPECT);
    for label in [SERVER, CLIENT] {
        SHAPE.let_label(&mut policy, 1, label);
    }
    policy
}

/// A process with a thread.
#[derive(Clone, Copy)]
pub struct Actor {
    pub process: Id<Process>,
    pub thread: Id<Thread>,
    /// Its account.
    pub quota: u64,
}

pub struct Kit {
    pub w: World,
    pub init: Actor,
    /// init's handle to the system.
    pub system: u64,
}

impl Kit {
    /// A world without a policy.
    pub fn new() -> Kit {
        let mut kit = Kit {
            w: World::new(),
            init: Actor { process: Id::try_new(1).unwrap(), thread: Id::try_new(1).unwrap(), quota: 0 },
            system: 0,
        };
        kit.init = kit.actor(1);
        let system = kit.w.kernel.cap_insert(kit.init.process, Kind::System, 0, Rights::all(), None).unwrap();
        kit.system = system.word();
        kit
    }

    /// A world with the policy loaded.
    pub fn sealed() -> Kit {
        let mut kit = Kit::new();
        assert_eq!(kit.load(&bytes()), Ok(()));
        kit
    }

    pub fn actor(&mut self, label: u32) -> Actor {
        let process = self.w.process();
        self.w.kernel.processes[process].label.set(label);
        let thread = self.w.thread(process, 10);
        Actor { process, thread, quota: self.w.quota_handle(process) }
    }

    pub fn put(&mut self, who: Actor, data: &[u8]) -> u64 {
        self.w.kernel.user_write(who.process, LENT, data).unwrap();
        LENT
    }

    pub fn load(&mut self, policy: &[u8]) -> Result<(), abi::Error> {
        let at = self.put(self.init, policy);
        let args = [self.system, at, policy.len() as u64];
        match self.w.call(self.init.thread, Call::PolicyLoad, &args) {
            kernel_core::world::Outcome::Done(_) => Ok(()),
            kernel_core::world::Outcome::Failed(error) => Err(error),
            other => panic!("{other:?}"),
        }
    }

    /// A session of a type, with badge 1 of an endpoint of its own; the endpoint's handle too.
    pub fn session(&mut self, who: Actor, object_type: u32) -> (u64, u64) {
        let endpoint = self.w.ok(who.thread, Call::EndpointCreate, &[who.quota])[0];
        (self.w.ok(who.thread, Call::SessionCreate, &[endpoint, 1, u64::from(object_type)])[0], endpoint)
    }

    /// A handle of `of` to another process.
    pub fn handle_to(&mut self, of: Actor, process: Id<Process>) -> u64 {
        self.w.kernel.cap_insert(of.process, Kind::Process, process.raw(), Rights::all(), None).unwrap().word()
    }

    pub fn rights(&self, who: Actor, handle: u64) -> Rights {
        let (cap, _) = self.w.kernel.lookup_any(who.process, Handle::from_word(handle).unwrap()).unwrap();
        self.w.kernel.caps[cap].rights()
    }

    /// Binds a session under a name in the namespace of a process.
    pub fn bind(&mut self, from: Actor, session: u64, name: &str, into: Actor) -> Result<(), abi::Error> {
        let process = self.handle_to(from, into.process);
        let namespace = self.w.ok(from.thread, Call::ProcessNamespace, &[process])[0];
        let at = self.put(from, name.as_bytes());
        let args = [namespace, at, name.len() as u64, session];
        match self.w.call(from.thread, Call::NamespaceBind, &args) {
            kernel_core::world::Outcome::Failed(error) => Err(error),
            _ => Ok(()),
        }
    }

    /// Sends a capability from one to another through an endpoint that the receiver made; what arrived.
    pub fn message(&mut self, from: Actor, handle: u64, rights: Rights, to: Actor) -> u64 {
        let endpoint = self.w.ok(to.thread, Call::EndpointCreate, &[to.quota])[0];
        let reply = self.w.ok(to.thread, Call::ReplyCreate, &[to.quota])[0];
        // The way there is not what is tried here: the sender makes its own session.
        let its_endpoint = self.w.give(to.process, endpoint, from.process);
        let session = self.w.ok(from.thread, Call::SessionCreate, &[its_endpoint, 1, 0])[0];
        self.w.waits(to.thread, Call::Recv, &[endpoint, 0, 0, reply]);
        self.w.buffer_set(from.thread, buffer::SEND_CAPS, handle | u64::from(rights.bits()) << 32);
        self.w.ok(from.thread, Call::Send, &[session, 0, Extras::new(1, 0, false).0]);
        self.w.buffer(to.thread, buffer::RECEIVED_CAPS)
    }

    /// All records of a ring from a position on, and how many were lost before.
    pub fn records(&mut self, ring: u64, mut position: u64) -> (Vec<Record>, u64) {
        let (mut all, mut missed) = (Vec::new(), 0);
        loop {
            let room = 16 * RECORD_LENGTH as u64;
            let [length, next, lost, _] =
                self.w.ok(self.init.thread, Call::AuditRead, &[self.system, ring, position, LENT, room]);
            missed += lost;
            position = next;
            if length == 0 {
                return (all, missed);
            }
            for index in 0..length / RECORD_LENGTH as u64 {
                let mut words = [0; RECORD_WORDS];
                let at = LENT + index * RECORD_LENGTH as u64;
                self.w.kernel.user_read_words(self.init.process, at, &mut words).unwrap();
                all.push(Record::from_words(&words).expect("a record"));
            }
        }
    }
}
