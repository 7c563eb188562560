//! A session with the kernel behind it: an open file, a connection, a device.

use crate::message::{Connection, Incoming, Lend, Outgoing};
use crate::rt::{buffer, calls, lease, message};
use abi::{Error, Handle, Result};
use alloc::string::String;

/// What a session is called through.
#[derive(Debug)]
enum Way {
    /// A capability of ours.
    Handle(Handle),
    /// The root session that our namespace binds to this name.
    Name(String),
}

/// A session; given up when dropped.
#[derive(Debug)]
pub struct Session(Way);

impl Session {
    /// One whose capability was given; it is closed when this is dropped.
    pub fn from_handle(handle: Handle) -> Session {
        Session(Way::Handle(handle))
    }

    /// The root session of a scheme in our namespace. Nothing is looked up yet.
    pub fn root(scheme: &str) -> Session {
        Session(Way::Name(scheme.into()))
    }

    /// The capability; `None` for a root session.
    pub fn handle(&self) -> Option<Handle> {
        match self.0 {
            Way::Handle(handle) => Some(handle),
            Way::Name(_) => None,
        }
    }

    /// The capability, not to be closed by us any more; `None` for a root session.
    pub fn into_handle(self) -> Option<Handle> {
        let handle = self.handle();
        core::mem::forget(self);
        handle
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if let Way::Handle(handle) = self.0 {
            calls::close(handle);
        }
    }
}

impl Connection for Session {
    fn call(&self, request: &mut Outgoing<'_>) -> Result<Incoming> {
        match &self.0 {
            Way::Handle(handle) => message::call(*handle, request),
            Way::Name(name) => message::open(name, request),
        }
    }

    fn next_sequence(&self) -> u64 {
        buffer::next_sequence()
    }

    fn adopt(&self, session: Handle) -> Result<Session> {
        if session.is_none() {
            return Err(Error::TableFull);
        }
        Ok(Session::from_handle(session))
    }

    fn discard(&self, handle: Handle) {
        calls::close(handle);
    }

    fn touch(&self, lend: &mut Lend<'_>) -> Result<()> {
        if matches!(lend, Lend::PassOn { .. }) {
            return Err(Error::LeaseFault);
        }
        lease::touch(lend);
        Ok(())
    }

    fn pause(&self) {
        let _ = calls::thread_yield();
    }
}
