//! Telling a server that a call it has received is not wanted any more.
//!
//! What the call lent for copying is gone already; what the server holds stays until it answers, so it should do so
//! soon. Nothing is needed to tell it: the reply object stands in a list of the endpoint that its call came through.

use crate::list::Cancelled;
use crate::object::{Endpoint, Reply, ReplyState};
use crate::{Id, Kernel, Machine};
use abi::Error;

impl<M: Machine> Kernel<M> {
    /// The endpoint that the call of a reply object came through, if it is still there.
    fn cancel_endpoint(&self, reply: &Reply) -> Option<Id<Endpoint>> {
        let id = reply.endpoint.get().filter(|id| self.endpoints.is_used(*id))?;
        (self.endpoints[id].header.object_id.get() == reply.endpoint_number.get()).then_some(id)
    }

    /// A call that was received is not wanted any more: whoever receives is told, once.
    pub(crate) fn cancel_note(&self, id: Id<Reply>, reason: Error) {
        let reply = &self.replies[id];
        let is_owed = matches!(reply.state.get(), ReplyState::Bound | ReplyState::Cancelled);
        if !is_owed || reply.cancel_reason.get() != 0 {
            return;
        }
        let endpoint = self.cancel_endpoint(reply).filter(|id| !self.endpoints[*id].closed.get());
        let Some(endpoint) = endpoint else { return };
        reply.cancel_reason.set(reason.number());
        reply.short.set(None);
        self.replies.list::<Cancelled>(&self.endpoints[endpoint].cancelled).push_back(id);
        self.events_deliver(endpoint);
    }

    /// The call is over: there is nothing to tell any more.
    pub(crate) fn cancel_forget(&self, id: Id<Reply>) {
        let reply = &self.replies[id];
        if reply.cancel_reason.replace(0) != 0 {
            // Who is in the list was not told; the endpoint takes out all of them when it ends.
            if let Some(endpoint) = self.cancel_endpoint(reply) {
                let list = self.replies.list::<Cancelled>(&self.endpoints[endpoint].cancelled);
                if list.contains(id) {
                    list.remove(id);
                }
            }
        }
    }

    /// The next call to tell of: its reply's object id, and why.
    pub(crate) fn cancelled_take(&self, endpoint: &Endpoint) -> Option<(u64, u64)> {
        let id = self.replies.list::<Cancelled>(&endpoint.cancelled).pop_front()?;
        let reply = &self.replies[id];
        Some((reply.header.object_id.get(), u64::from(reply.cancel_reason.get())))
    }
}
