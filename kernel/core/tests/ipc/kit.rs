//! A client, a server and a keeper that holds the endpoint, as init does.

use abi::call::Call;
use abi::message::Extras;
use abi::{Error, Kind, Rights};
use kernel_core::id::Id;
use kernel_core::object::{Process, Thread, ThreadState};
use kernel_core::world::{Outcome, World, LENT};

/// The badge of the first session.
pub const BADGE: u64 = 7;

/// Two processes that can talk, and the one that made them able to.
pub struct Pair {
    pub w: World,
    /// Holds the endpoint; its thread is `k`.
    pub keeper: Id<Process>,
    pub k: Id<Thread>,
    /// The keeper's handles: account, endpoint.
    pub k_quota: u64,
    pub k_endpoint: u64,
    /// The server, and its thread `s`.
    pub server: Id<Process>,
    pub s: Id<Thread>,
    /// The server's handles.
    pub quota: u64,
    pub endpoint: u64,
    pub reply: u64,
    /// The client, and its thread `c`.
    pub client: Id<Process>,
    pub c: Id<Thread>,
    /// The client's handle.
    pub session: u64,
}

impl Pair {
    pub fn new() -> Pair {
        Pair::with(World::new(), [10, 10, 10])
    }

    /// With these priorities of keeper, server and client.
    pub fn with(mut w: World, [pk, ps, pc]: [u8; 3]) -> Pair {
        let keeper = w.process();
        let k = w.thread(keeper, pk);
        let k_quota = w.quota_handle(keeper);
        let k_endpoint = w.ok(k, Call::EndpointCreate, &[k_quota])[0];
        let server = w.process();
        let s = w.thread(server, ps);
        let quota = w.quota_handle(server);
        let endpoint = w.give(keeper, k_endpoint, server);
        let reply = w.ok(s, Call::ReplyCreate, &[quota])[0];
        let client = w.process();
        let c = w.thread(client, pc);
        let mut pair =
            Pair { w, keeper, k, k_quota, k_endpoint, server, s, quota, endpoint, reply, client, c, session: 0 };
        pair.session = pair.new_session(BADGE, client);
        pair
    }

    /// A session that only `holder` has a capability to.
    pub fn new_session(&mut self, badge: u64, holder: Id<Process>) -> u64 {
        let made = self.w.ok(self.k, Call::SessionCreate, &[self.k_endpoint, badge, 0])[0];
        let given = self.w.give(self.keeper, made, holder);
        self.w.ok(self.k, Call::Close, &[made]);
        given
    }

    /// Binds a name of four letters in the client's namespace to a new session with this badge; the keeper's handles to the
    /// namespace and the session.
    pub fn bind_root(&mut self, name: &[u8; 4], badge: u64) -> (u64, u64) {
        let session = self.w.ok(self.k, Call::SessionCreate, &[self.k_endpoint, badge, 0])[0];
        let process = self.w.kernel.cap_insert(self.keeper, Kind::Process, self.client.raw(), Rights::all(), None);
        let namespace = self.w.ok(self.k, Call::ProcessNamespace, &[process.expect("there is room").word()])[0];
        self.w.kernel.user_write(self.keeper, LENT, name).expect("mapped");
        self.w.ok(self.k, Call::NamespaceBind, &[namespace, LENT, 4, session]);
        (namespace, session)
    }

    /// Another client thread in a process of its own, with a session of its own.
    pub fn another_client(&mut self, badge: u64, priority: u8) -> (Id<Process>, Id<Thread>, u64) {
        let process = self.w.process();
        let thread = self.w.thread(process, priority);
        let session = self.new_session(badge, process);
        (process, thread, session)
    }

    /// The server receives; it has to wait.
    pub fn server_waits(&mut self) {
        self.w.waits(self.s, Call::Recv, &[self.endpoint, 0, 0, self.reply]);
    }

    /// The server receives what is there.
    #[track_caller]
    pub fn server_receives(&mut self) -> [u64; 4] {
        self.w.ok(self.s, Call::Recv, &[self.endpoint, 0, 0, self.reply])
    }

    /// The client calls with words only.
    pub fn client_calls(&mut self, tag: u64) {
        self.w.waits(self.c, Call::Call, &[self.session, tag, 0]);
    }

    /// The server answers.
    pub fn server_replies(&mut self, tag: u64) -> Outcome {
        self.w.call(self.s, Call::Reply, &[self.reply, tag, 0])
    }

    /// A second thread of the client.
    pub fn c_other(&mut self) -> Id<Thread> {
        self.w.thread(self.client, 10)
    }

    pub fn state(&self, thread: Id<Thread>) -> ThreadState {
        self.w.kernel.threads[thread].state.get()
    }

    pub fn priority(&self, thread: Id<Thread>) -> u8 {
        self.w.kernel.threads[thread].priority.get()
    }

    pub fn running(&self) -> Option<Id<Thread>> {
        self.w.kernel.current(kernel_core::world::CPU)
    }
}

/// Extras of a message on its way in.
pub fn extras(caps: usize, leases: usize, deadline: bool) -> u64 {
    Extras::new(caps, leases, deadline).0
}

/// What an outcome says went wrong.
pub fn failed(outcome: Outcome) -> Option<Error> {
    match outcome {
        Outcome::Failed(error) => Some(error),
        _ => None,
    }
}
