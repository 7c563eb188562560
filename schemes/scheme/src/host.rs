//! The host harness: a scheme as a plain host program, called through the real client and dispatcher.
//!
//! [`Harness`] plays the kernel: sessions with badges, their end, leases as slices, calls that wait, a server
//! that dies at a chosen instant and comes back with its keepsake. [`Client`] is a [`Connection`], so a test uses
//! the same [`File`] as a program does. Not compiled for the machine itself.

use crate::client::File;
use crate::dispatch::{may_wake, Dispatcher, Endpoint, Reply, Request, Turn};
use crate::lease::Lease;
use crate::message::{Caps, Connection, Incoming, Lend, Outgoing};
use crate::scheme::Scheme;
use crate::store::Store;
use abi::{Error, Handle, Result};
use std::boxed::Box;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::panic::{catch_unwind, resume_unwind, AssertUnwindSafe};
use std::rc::Rc;
use std::vec::Vec;

/// What a simulated crash unwinds with.
struct Crash;

/// Ends the server at this very point, as a kill would: for use inside a scheme or its device under test.
pub fn crash() -> ! {
    resume_unwind(Box::new(Crash))
}

/// A keepsake on the host, which can end its server after a number of bytes written.
#[derive(Clone, Debug, Default)]
pub struct HostStore {
    bytes: Rc<RefCell<Vec<u8>>>,
    fuse: Rc<Cell<Option<usize>>>,
}

impl HostStore {
    /// So many zero bytes.
    pub fn new(size: usize) -> HostStore {
        HostStore { bytes: Rc::new(RefCell::new(std::vec![0; size])), fuse: Rc::default() }
    }

    /// The server dies when it has written this many more bytes (at the next write with 0).
    pub fn crash_after(&self, bytes: Option<usize>) {
        self.fuse.set(bytes);
    }

    /// Whether the fuse is still set.
    pub fn is_armed(&self) -> bool {
        self.fuse.get().is_some()
    }
}

impl Store for HostStore {
    fn size(&self) -> usize {
        self.bytes.borrow().len()
    }
    fn read(&self, offset: usize, out: &mut [u8]) -> Result<()> {
        self.bytes.borrow().read(offset, out)
    }
    fn write(&mut self, offset: usize, data: &[u8]) -> Result<()> {
        let Some(left) = self.fuse.get() else {
            return self.bytes.borrow_mut().write(offset, data);
        };
        let part = data.get(..left).unwrap_or(data);
        self.bytes.borrow_mut().write(offset, part)?;
        if part.len() < data.len() || left == 0 {
            self.fuse.set(None);
            crash();
        }
        self.fuse.set(Some(left.saturating_sub(part.len())));
        Ok(())
    }
}

/// The kernel's truth: sessions of one endpoint.
#[derive(Debug, Default)]
struct HostEndpoint {
    /// By badge: handles alive.
    sessions: BTreeMap<u64, u32>,
    last_badge: u64,
    handles: BTreeMap<u32, u64>,
    last_handle: u32,
    time: u64,
    closed: Vec<Handle>,
    /// Made by the server and not handed over yet: they end with it.
    pending: Vec<Handle>,
}

impl HostEndpoint {
    fn grab(&mut self, badge: u64) -> Handle {
        self.last_handle = self.last_handle.saturating_add(1);
        self.handles.insert(self.last_handle, badge);
        *self.sessions.entry(badge).or_default() += 1;
        Handle(self.last_handle)
    }
    fn release(&mut self, handle: Handle) -> Option<u64> {
        let badge = self.handles.remove(&handle.0)?;
        let count = self.sessions.get_mut(&badge)?;
        *count = count.saturating_sub(1);
        (*count == 0).then_some(badge)
    }
}

impl Endpoint for HostEndpoint {
    fn create(&mut self, badge: u64, _: u64) -> Result<Handle> {
        if badge <= self.last_badge {
            return Err(Error::BadArgument);
        }
        self.last_badge = badge;
        let handle = self.grab(badge);
        self.pending.push(handle);
        Ok(handle)
    }
    fn acknowledge(&mut self, badge: u64) {
        self.sessions.remove(&badge);
    }
    fn next(&mut self, after: u64) -> Result<(u64, bool)> {
        let mut rest = self.sessions.range(after.saturating_add(1)..);
        rest.next().map(|(badge, handles)| (*badge, *handles == 0)).ok_or(Error::NotFound)
    }
    fn close(&mut self, handle: Handle) {
        self.closed.push(handle);
    }
    // Never goes back, over restarts neither.
    fn now_ns(&mut self) -> u64 {
        self.time = self.time.saturating_add(1_000_000);
        self.time.saturating_add(1 << 40)
    }
}

/// A call that waits for its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Waiting(u64);

struct Held {
    number: u64,
    request: Request<'static>,
    buffer: Vec<u8>,
    data: Vec<u8>,
}

/// When the next call's server dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CrashAt {
    /// After the call was received, before anything was done.
    Before,
    /// After everything was done, before the answer went out.
    After,
}

struct Inner<S: Scheme> {
    dispatcher: Option<Dispatcher<S, HostStore>>,
    make: Box<dyn FnMut() -> S>,
    endpoint: HostEndpoint,
    store: HostStore,
    held: Vec<Held>,
    answered: BTreeMap<u64, (Reply, Vec<u8>)>,
    number: u64,
    crash: Option<CrashAt>,
    restarts: u32,
    sequence: u64,
}

/// A scheme that runs here, with its clients.
pub struct Harness<S: Scheme>(Rc<RefCell<Inner<S>>>);

impl<S: Scheme> Clone for Harness<S> {
    fn clone(&self) -> Harness<S> {
        Harness(self.0.clone())
    }
}

impl<S: Scheme + 'static> Harness<S> {
    /// Runs one scheme, which does not survive a crash.
    pub fn new(scheme: S) -> Harness<S> {
        let mut once = Some(scheme);
        Harness::with_keepsake(0, move || once.take().expect("this harness was made without a way to restart"))
    }

    /// Runs what `make` makes, each time the server is started; a keepsake of `size` bytes stays.
    pub fn with_keepsake(size: usize, make: impl FnMut() -> S + 'static) -> Harness<S> {
        let mut inner = Inner {
            dispatcher: None,
            make: Box::new(make),
            endpoint: HostEndpoint::default(),
            store: HostStore::new(size),
            held: Vec::new(),
            answered: BTreeMap::new(),
            number: 0,
            crash: None,
            restarts: 0,
            sequence: 0,
        };
        inner.start();
        Harness(Rc::new(RefCell::new(inner)))
    }

    /// The root session with badge 1, as a file.
    pub fn root(&self) -> File<Client<S>> {
        self.root_with_badge(1)
    }

    /// A root session as a file: for servers of several names.
    pub fn root_with_badge(&self, badge: u64) -> File<Client<S>> {
        let handle = self.0.borrow_mut().endpoint.grab(badge);
        File::new(Client { harness: self.clone(), handle, badge, thread: Cell::new(1) })
    }

    /// Looks into the scheme.
    pub fn scheme<T>(&self, look: impl FnOnce(&mut S) -> T) -> T {
        let mut inner = self.0.borrow_mut();
        look(inner.dispatcher.as_mut().expect("the server runs").scheme())
    }

    /// Sends bits of the endpoint's notification; parked calls are asked again.
    pub fn event(&self, bits: u64) {
        let mut inner = self.0.borrow_mut();
        if let Some(dispatcher) = inner.dispatcher.as_mut() {
            dispatcher.event(bits);
        }
        inner.retry();
    }

    /// Kills the server and starts it anew, with its keepsake.
    pub fn restart(&self) {
        self.0.borrow_mut().die();
    }

    /// How often it was started anew.
    pub fn restarts(&self) -> u32 {
        self.0.borrow().restarts
    }

    /// The next call's server dies.
    pub fn crash_next(&self, at: CrashAt) {
        self.0.borrow_mut().crash = Some(at);
    }

    /// The keepsake.
    pub fn store(&self) -> HostStore {
        self.0.borrow().store.clone()
    }

    /// Sessions the server knows.
    pub fn open_sessions(&self) -> usize {
        self.0.borrow().dispatcher.as_ref().map_or(0, Dispatcher::open_sessions)
    }

    /// Capabilities that the server closed: those that came with calls and were not taken, among others.
    pub fn closed(&self) -> Vec<Handle> {
        self.0.borrow().endpoint.closed.clone()
    }

    /// Begins a call that may have to wait: `data` is lent to be read, a buffer of `room` bytes to be filled (lease 0 is
    /// the data if there is any, else the buffer; lease 1 the buffer beside data).
    pub fn begin(&self, file: &File<Client<S>>, tag: u64, words: [u64; 6], data: &[u8], room: usize) -> Waiting {
        let mut inner = self.0.borrow_mut();
        inner.number = inner.number.saturating_add(1);
        let number = inner.number;
        let request = Request { badge: file.connection().badge, account: 1, tag, words, ..Request::default() };
        inner.held.push(Held { number, request, buffer: std::vec![0; room], data: data.to_vec() });
        inner.retry();
        Waiting(number)
    }

    /// The answer of a call that was begun, with its buffer, once it is there.
    pub fn finish(&self, call: Waiting) -> Option<(Reply, Vec<u8>)> {
        self.0.borrow_mut().answered.remove(&call.0)
    }

    /// Cancels a call that waits.
    pub fn cancel(&self, call: Waiting) {
        let mut inner = self.0.borrow_mut();
        let (gone, kept) = core::mem::take(&mut inner.held).into_iter().partition(|held| held.number == call.0);
        inner.held = kept;
        inner.give_up(gone);
    }
}

impl<S: Scheme> Inner<S> {
    fn start(&mut self) {
        // A crash on the way up is a crash like any other.
        for _ in 0..8 {
            let (scheme, store) = ((self.make)(), self.store.clone());
            let endpoint = &mut self.endpoint;
            let started = catch_unwind(AssertUnwindSafe(|| {
                let mut dispatcher = Dispatcher::new(scheme, store);
                dispatcher.recover(endpoint);
                dispatcher
            }));
            match started {
                Ok(dispatcher) => return self.dispatcher = Some(dispatcher),
                Err(payload) if payload.is::<Crash>() => self.restarts = self.restarts.saturating_add(1),
                Err(payload) => resume_unwind(payload),
            }
        }
        panic!("the server dies each time it is started");
    }

    fn die(&mut self) {
        self.restarts = self.restarts.saturating_add(1);
        self.dispatcher = None;
        for handle in core::mem::take(&mut self.endpoint.pending) {
            self.endpoint.release(handle);
        }
        // Calls that were received are told that the server was restarted.
        for held in core::mem::take(&mut self.held) {
            let tag = u64::from(Error::Restarted.number());
            self.answered.insert(held.number, (Reply { tag, ..Reply::default() }, held.buffer));
        }
        self.start();
    }

    /// One call, with whatever crash was asked for.
    fn dispatch(&mut self, request: &mut Request<'_>) -> Result<Turn> {
        let crash = self.crash.take();
        if crash == Some(CrashAt::Before) {
            self.die();
            return Err(Error::Restarted);
        }
        let dispatcher = self.dispatcher.as_mut().expect("the server runs");
        let endpoint = &mut self.endpoint;
        match catch_unwind(AssertUnwindSafe(|| dispatcher.call(endpoint, request))) {
            Ok(turn) if crash.is_none() => {
                self.endpoint.pending.clear();
                Ok(turn)
            }
            Ok(_) => {
                self.die();
                Err(Error::Restarted)
            }
            Err(payload) if payload.is::<Crash>() => {
                self.die();
                Err(Error::Restarted)
            }
            Err(payload) => resume_unwind(payload),
        }
    }

    fn retry(&mut self) {
        let mut again = true;
        while again && !self.held.is_empty() {
            again = false;
            for mut held in core::mem::take(&mut self.held) {
                let Held { request, buffer, data, .. } = &mut held;
                let mut lent = Request { caps: core::mem::take(&mut request.caps), ..Request::default() };
                (lent.badge, lent.account, lent.tag) = (request.badge, request.account, request.tag);
                (lent.words, lent.ticket) = (request.words, request.ticket);
                let [first, second, ..] = &mut lent.leases;
                match (data.is_empty(), buffer.is_empty()) {
                    (true, true) => {}
                    (true, false) => *first = Lease::Buffer(buffer),
                    (false, _) => (*first, *second) = (Lease::Data(data), Lease::Buffer(buffer)),
                }
                let turn = self.dispatch(&mut lent);
                let (ticket, caps) = (lent.ticket, lent.caps);
                drop(lent.leases);
                (held.request.ticket, held.request.caps) = (ticket, caps);
                let reply = match turn {
                    Ok(Turn::Parked) => {
                        self.held.push(held);
                        continue;
                    }
                    Ok(Turn::Answer(reply)) => reply,
                    Err(error) => Reply { tag: u64::from(error.number()), ..Reply::default() },
                };
                again |= may_wake(held.request.tag);
                self.answered.insert(held.number, (reply, held.buffer));
            }
        }
    }

    fn give_up(&mut self, gone: Vec<Held>) {
        for held in gone {
            if let Some(dispatcher) = self.dispatcher.as_mut() {
                dispatcher.cancelled(&held.request);
            }
        }
    }

    fn close(&mut self, handle: Handle) {
        if let Some(badge) = self.endpoint.release(handle) {
            let (gone, kept) =
                core::mem::take(&mut self.held).into_iter().partition(|held| held.request.badge == badge);
            self.held = kept;
            self.give_up(gone);
            let Inner { dispatcher, endpoint, .. } = self;
            if let Some(dispatcher) = dispatcher.as_mut() {
                match catch_unwind(AssertUnwindSafe(|| dispatcher.session_ended(endpoint, badge))) {
                    Ok(()) => {}
                    Err(payload) if payload.is::<Crash>() => self.die(),
                    Err(payload) => resume_unwind(payload),
                }
            }
            self.retry();
        }
    }
}

/// One client's session to a scheme in a harness.
pub struct Client<S: Scheme + 'static> {
    harness: Harness<S>,
    handle: Handle,
    badge: u64,
    thread: Cell<u64>,
}

impl<S: Scheme + 'static> Client<S> {
    /// From now on calls come from this thread.
    pub fn set_thread(&self, thread: u64) {
        self.thread.set(thread);
    }
    /// The session's badge.
    pub fn badge(&self) -> u64 {
        self.badge
    }
    /// The harness.
    pub fn harness(&self) -> &Harness<S> {
        &self.harness
    }
}

impl<S: Scheme + 'static> core::fmt::Debug for Client<S> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Client(badge {})", self.badge)
    }
}

impl<S: Scheme + 'static> Drop for Client<S> {
    fn drop(&mut self) {
        // A test that failed inside a call drops its clients while the harness is in use.
        if let Ok(mut inner) = self.harness.0.try_borrow_mut() {
            inner.close(self.handle);
        }
    }
}

impl<S: Scheme + 'static> Connection for Client<S> {
    fn call(&self, out: &mut Outgoing<'_>) -> Result<Incoming> {
        let mut inner = self.harness.0.borrow_mut();
        let handles = core::array::from_fn(|i| out.caps.get(i).map_or(Handle::NONE, |cap| cap.handle));
        let mut request = Request { badge: self.badge, account: 1, tag: out.tag, words: out.words, ..Request::default() };
        request.caps = Caps::new(handles);
        for (slot, lend) in request.leases.iter_mut().zip(&mut out.leases) {
            *slot = match lend {
                Lend::Read(data) => Lease::Data(data),
                Lend::Write(buffer) => Lease::Buffer(buffer),
                Lend::PassOn { .. } => return Err(Error::NotSupported),
            };
        }
        let wakes = may_wake(request.tag);
        match inner.dispatch(&mut request)? {
            Turn::Answer(reply) => {
                if wakes {
                    inner.retry();
                }
                let mut handles = [Handle::NONE; 4];
                for (slot, (cap, _)) in handles.iter_mut().zip(&reply.caps) {
                    *slot = cap.handle;
                }
                Ok(Incoming { tag: reply.tag, words: reply.words, caps: Caps::new(handles) })
            }
            // Nobody else runs here who could end the wait: see `begin` for calls that do wait.
            Turn::Parked => {
                if let Some(dispatcher) = inner.dispatcher.as_mut() {
                    dispatcher.cancelled(&request);
                }
                Err(Error::WouldBlock)
            }
        }
    }

    fn next_sequence(&self) -> u64 {
        let mut inner = self.harness.0.borrow_mut();
        inner.sequence = inner.sequence.saturating_add(1) & 0xffff_ffff;
        (self.thread.get() << 32) | inner.sequence
    }

    fn adopt(&self, session: Handle) -> Result<Client<S>> {
        let badge = self.harness.0.borrow().endpoint.handles.get(&session.0).copied().ok_or(Error::BadHandle)?;
        let thread = Cell::new(self.thread.get());
        Ok(Client { harness: self.harness.clone(), handle: session, badge, thread })
    }

    fn discard(&self, handle: Handle) {
        self.harness.0.borrow_mut().close(handle);
    }

    fn touch(&self, _: &mut Lend<'_>) -> Result<()> {
        Ok(())
    }

    fn pause(&self) {}
}
