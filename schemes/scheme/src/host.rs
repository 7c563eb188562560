//! The host harness: a scheme as a plain host program, called through the real
//! client and dispatcher.
//!
//! [`Harness`] plays the kernel: sessions with badges, their end, leases as slices, calls that wait, a server
//! that dies at a chosen instant and comes back with its keepsake. [`Client`] is a [`Connection`], so a test uses
//! the same [`File`] as a program does. Not compiled for the machine itself.

mod client;
mod kernel;

pub use client::Client;
pub use kernel::HostStore;

use crate::client::File;
use crate::dispatch::{may_wake, Dispatcher, Reply, Request, Turn};
use crate::event::Readiness;
use crate::lease::Lease;
use crate::scheme::Scheme;
use abi::{Error, Handle, Result};
use kernel::HostEndpoint;
use std::boxed::Box;
use std::cell::RefCell;
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
        File::new(Client::new(self.clone(), handle, badge))
    }

    /// Looks into the scheme.
    pub fn scheme<T>(&self, look: impl FnOnce(&mut S) -> T) -> T {
        let mut inner = self.0.borrow_mut();
        look(inner.dispatcher.as_mut().expect("the server runs").scheme())
    }

    /// What the server last said a session is ready for, and how often it set bits: each time is an edge.
    pub fn readiness(&self, file: &File<Client<S>>) -> (Readiness, u32) {
        let badge = file.connection().badge();
        self.0.borrow().endpoint.ready.get(&badge).copied().unwrap_or_default()
    }

    /// Sends bits of the endpoint's notification; parked calls are asked again.
    pub fn event(&self, bits: u64) {
        let mut inner = self.0.borrow_mut();
        let Inner { dispatcher, endpoint, .. } = &mut *inner;
        if let Some(dispatcher) = dispatcher.as_mut() {
            dispatcher.event(endpoint, bits);
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
        let badge = file.connection().badge();
        let request = Request { badge, account: 1, tag, words, ..Request::default() };
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
