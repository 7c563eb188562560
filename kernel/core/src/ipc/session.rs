//! Sessions: badged ways into an endpoint, and the telling of their ends.
//!
//! A session whose last reference goes has ended. It stays in its endpoint's list, where receives tell of it
//! without needing memory, until it is acknowledged. In each round of telling every end is told once, before
//! the calls; a delivered message begins the next round.

use crate::cap::reference::object;
use crate::list::Ended;
use crate::object::{Endpoint, Process, Session};
use crate::tree::InEndpoint;
use crate::{Id, Kernel, Machine};
use abi::{Error, Handle, Kind, Result, Rights};

object!(Session, Session, |kernel, id| {
    let endpoint_id = kernel.session_endpoint(id);
    let endpoint = &kernel.endpoints[endpoint_id];
    kernel.sessions[id].has_ended.set(true);
    kernel.interests_let_go(id);
    if endpoint.closed.get() {
        // Nobody will be told.
        kernel.session_free(id);
        kernel.endpoint_free_if_empty(endpoint_id);
        return;
    }
    kernel.sessions.list::<Ended>(&endpoint.ended).push_back(id);
    if endpoint.told.get() == 0 {
        endpoint.told.set(id.raw());
    }
    kernel.events_deliver(endpoint_id);
});

impl<M: Machine> Kernel<M> {
    /// The endpoint that a session leads to.
    #[inline(always)]
    pub(crate) fn session_endpoint(&self, id: Id<Session>) -> Id<Endpoint> {
        self.sessions[id].endpoint.get().expect("invariant: a session has an endpoint")
    }

    /// The badge of a session.
    #[inline(always)]
    pub(crate) fn badge(&self, id: Id<Session>) -> u64 {
        self.sessions[id].in_endpoint.key.get()
    }

    /// The session of an endpoint with a badge. Errors: `NotFound`.
    pub(crate) fn session_badged(&self, endpoint: Id<Endpoint>, badge: u64) -> Result<Id<Session>> {
        let sessions = self.sessions.tree::<InEndpoint>(&self.endpoints[endpoint].sessions);
        sessions.find(badge).ok_or(Error::NotFound)
    }

    /// Makes a session, held by a process and charged to it. Errors: `BadArgument` (badge 0), `Exists` (a badge not
    /// above all that were used), and those of `cap_room` and `allocate`.
    pub(crate) fn session_make(
        &self,
        endpoint_id: Id<Endpoint>,
        process: Id<Process>,
        badge: u64,
        object_type: u32,
    ) -> Result<Handle> {
        let endpoint = &self.endpoints[endpoint_id];
        Error::BadArgument.when(badge == 0)?;
        Error::Exists.when(badge <= endpoint.last_badge.get())?;
        let quota = self.processes[process].quota.get().ok_or(Error::Closed)?;
        self.cap_room(process, 1)?;
        let id = self.allocate_object::<Session>(quota)?;
        let session = &self.sessions[id];
        session.endpoint.set(Some(endpoint_id));
        session.object_type.set(object_type);
        session.label.set(self.processes[process].label.get());
        endpoint.last_badge.set(badge);
        self.sessions.tree::<InEndpoint>(&endpoint.sessions).insert(id, badge);
        let rights = Rights::TRANSFER | Rights::DERIVE | Rights::INSPECT | Rights::SEND;
        Ok(self.cap_insert(process, Kind::Session, id.raw(), rights, None).expect("invariant: room was made"))
    }

    /// Forgets a session that has ended. Errors: `NotFound` (no such badge), `WrongState` (it has not ended).
    pub(crate) fn session_forget(&self, endpoint_id: Id<Endpoint>, badge: u64) -> Result<()> {
        let endpoint = &self.endpoints[endpoint_id];
        let id = self.session_badged(endpoint_id, badge)?;
        Error::WrongState.when(!self.sessions[id].has_ended.get())?;
        let ended = self.sessions.list::<Ended>(&endpoint.ended);
        if endpoint.told.get() == id.raw() {
            endpoint.told.set(ended.next(id).map_or(0, Id::raw));
        }
        ended.remove(id);
        self.session_free(id);
        Ok(())
    }

    /// The session with the next higher badge, and whether it has ended. Errors: `NotFound`.
    pub(crate) fn session_after(&self, endpoint: Id<Endpoint>, badge: u64) -> Result<(u64, bool)> {
        let sessions = self.sessions.tree::<InEndpoint>(&self.endpoints[endpoint].sessions);
        let from = badge.checked_add(1).ok_or(Error::NotFound)?;
        let id = sessions.ceiling(from).ok_or(Error::NotFound)?;
        Ok((self.badge(id), self.sessions[id].has_ended.get()))
    }

    /// Frees a session that has ended and is in no list any more.
    pub(crate) fn session_free(&self, id: Id<Session>) {
        let endpoint = self.session_endpoint(id);
        self.sessions.tree::<InEndpoint>(&self.endpoints[endpoint].sessions).remove(id);
        self.free_object(id);
    }
}
