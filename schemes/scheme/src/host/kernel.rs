//! What the harness plays for a server: its keepsake, and the sessions of its
//! endpoint.

use super::crash;
use crate::dispatch::Endpoint;
use crate::event::Readiness;
use crate::store::Store;
use abi::{Error, Handle, Result};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::vec::Vec;

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
pub(super) struct HostEndpoint {
    /// By badge: handles alive.
    sessions: BTreeMap<u64, u32>,
    last_badge: u64,
    pub(super) handles: BTreeMap<u32, u64>,
    last_handle: u32,
    time: u64,
    /// Readiness by badge, and how often bits were set.
    pub(super) ready: BTreeMap<u64, (Readiness, u32)>,
    pub(super) closed: Vec<Handle>,
    /// Made by the server and not handed over yet: they end with it.
    pub(super) pending: Vec<Handle>,
}

impl HostEndpoint {
    pub(super) fn grab(&mut self, badge: u64) -> Handle {
        self.last_handle = self.last_handle.saturating_add(1);
        self.handles.insert(self.last_handle, badge);
        *self.sessions.entry(badge).or_default() += 1;
        Handle(self.last_handle)
    }
    pub(super) fn release(&mut self, handle: Handle) -> Option<u64> {
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
    fn ready(&mut self, badge: u64, set: Readiness, clear: Readiness) {
        let (word, edges) = self.ready.entry(badge).or_default();
        *word = *word & !clear | set;
        *edges = edges.saturating_add(u32::from(!set.is_empty()));
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
