//! A client of a scheme in a harness: what a program's session is on the
//! machine.

use super::Harness;
use crate::dispatch::{may_wake, Request, Turn};
use crate::lease::Lease;
use crate::message::{Caps, Connection, Incoming, Lend, Outgoing};
use crate::scheme::Scheme;
use abi::{Error, Handle, Result};
use std::cell::Cell;

/// One client's session to a scheme in a harness.
pub struct Client<S: Scheme + 'static> {
    harness: Harness<S>,
    handle: Handle,
    badge: u64,
    thread: Cell<u64>,
}

impl<S: Scheme + 'static> Client<S> {
    pub(super) fn new(harness: Harness<S>, handle: Handle, badge: u64) -> Client<S> {
        Client { harness, handle, badge, thread: Cell::new(1) }
    }
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
        let mut request =
            Request { badge: self.badge, account: 1, tag: out.tag, words: out.words, ..Request::default() };
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
