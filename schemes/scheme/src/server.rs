//! The server loop: receives, dispatches, answers, and keeps the calls that
//! can't be answered yet.
//!
//! A server finds in its start block `endpoint` (receive and manage), and perhaps `keepsake` (a
//! Memory that outlives it) and `ready` (a notification of init's). [`serve`] does the rest. A scheme that waits
//! for interrupts or timers binds its own notification to the endpoint ([`endpoint`], `notification_bind`): its bits
//! arrive as [`Scheme::event`](crate::scheme::Scheme::event).

use crate::dispatch::{may_wake, Dispatcher, Endpoint, Reply, Request, Turn};
use crate::event::Readiness;
use crate::lease::{KernelLease, Lease};
use crate::rt::message::{self, Answer, Arrival};
use crate::rt::{calls, event, memory, security, start};
use crate::scheme::Scheme;
use crate::store::{Nothing, Store};
use crate::wire::Tag;
use abi::memory::{Protection, PAGE_SIZE};
use abi::message::{Received, LEASES};
use abi::start::names;
use abi::{Error, Handle, Result, Rights};
use alloc::boxed::Box;
use alloc::vec::Vec;

/// The most calls kept at once; more are answered `WouldBlock`.
pub const MAX_PARKED: usize = 64;
/// The bit of `ready` that says: serving, where the spawner names no other.
pub const READY: u64 = 1;

/// The bits of `ready` that are this program's: its spawner says so in `READY_BITS`, else [`READY`].
pub fn ready_bits() -> u64 {
    start::variable("READY_BITS").and_then(|bits| bits.parse().ok()).unwrap_or(READY)
}

/// The kernel's side of an endpoint.
struct KernelEndpoint {
    handle: Handle,
    /// The type of sessions that are of no other.
    object_type: u64,
}

impl Endpoint for KernelEndpoint {
    fn create(&mut self, badge: u64, object_type: u64) -> Result<Handle> {
        let object_type = if object_type == 0 { self.object_type } else { object_type };
        calls::session_create(self.handle, badge, object_type)
    }
    fn acknowledge(&mut self, badge: u64) {
        let _ = calls::session_acknowledge(self.handle, badge);
    }
    fn next(&mut self, after: u64) -> Result<(u64, bool)> {
        calls::session_next(self.handle, after).map(|(badge, ended)| (badge, ended != 0))
    }
    fn ready(&mut self, badge: u64, set: Readiness, clear: Readiness) {
        let _ = event::session_ready(self.handle, badge, set.bits(), clear.bits());
    }
    fn close(&mut self, handle: Handle) {
        calls::close(handle);
    }
    fn now_ns(&mut self) -> u64 {
        crate::time::now_ns()
    }
}

/// A call that waits for something to happen.
struct Parked {
    reply: Handle,
    request: Request<'static>,
}

struct Server<S: Scheme> {
    dispatcher: Dispatcher<S, Box<dyn Store>>,
    endpoint: KernelEndpoint,
    parked: Vec<Parked>,
    spare: Vec<Handle>,
}

/// The endpoint this server receives at, from the start block. Errors: `NotFound`.
pub fn endpoint() -> Result<Handle> {
    start::handle(names::ENDPOINT).ok_or(Error::NotFound)
}

fn keepsake() -> Box<dyn Store> {
    let mapped = start::handle(names::KEEPSAKE).and_then(|memory| {
        let (pages, _, _) = calls::memory_info(memory).ok()?;
        let length = pages.saturating_mul(PAGE_SIZE);
        memory::map(memory, 0, length, Protection::READ | Protection::WRITE).ok()
    });
    match mapped {
        Some(mapping) => Box::new(mapping),
        None => Box::new(Nothing),
    }
}

/// Serves a scheme until its endpoint is gone; answers the program's exit code.
pub fn serve<S: Scheme>(scheme: S) -> u64 {
    match endpoint() {
        Ok(endpoint) => serve_at(endpoint, scheme),
        Err(_) => {
            log::error!("no endpoint to serve at");
            1
        }
    }
}

/// The same at an endpoint that the program made itself.
pub fn serve_at<S: Scheme>(endpoint: Handle, scheme: S) -> u64 {
    match Server::new(endpoint, scheme).and_then(Server::run) {
        Ok(()) => 0,
        Err(error) => {
            log::error!("server ended: {error}");
            1
        }
    }
}

fn request_of(arrival: Arrival, reply: Handle) -> Request<'static> {
    let page_offset = Tag(arrival.tag).page_offset() as usize;
    let mut leases: [Lease<'static>; LEASES] = Default::default();
    for (index, (slot, lent)) in leases.iter_mut().zip(arrival.leases).enumerate() {
        if let Some((length, access)) = lent {
            let length = usize::try_from(length).unwrap_or(usize::MAX);
            let hint = if index == 0 { page_offset } else { 0 };
            *slot = Lease::Kernel(KernelLease::new(reply, index as u8, length, access, hint));
        }
    }
    let Arrival { badge, account, tag, words, caps, .. } = arrival;
    Request { badge, account, tag, words, caps, leases, ticket: None }
}

impl<S: Scheme> Server<S> {
    fn new(endpoint: Handle, scheme: S) -> Result<Server<S>> {
        let mut endpoint = KernelEndpoint { handle: endpoint, object_type: security::object_type() };
        let mut dispatcher = Dispatcher::new(scheme, keepsake());
        dispatcher.recover(&mut endpoint);
        // One to receive with, one more so that the first parked call needs nothing.
        let spare = alloc::vec![calls::reply_create(Handle::SELF_QUOTA)?, calls::reply_create(Handle::SELF_QUOTA)?];
        if let Some(ready) = start::handle(names::READY) {
            calls::notify(ready, ready_bits())?;
        }
        Ok(Server { dispatcher, endpoint, parked: Vec::new(), spare })
    }

    fn run(mut self) -> Result<()> {
        let mut reply = self.spare.pop().ok_or(Error::OutOfMemory)?;
        let mut answer = None;
        let mut failures = 0u32;
        loop {
            let arrival = match answer.take() {
                Some(Reply { tag, words, .. }) => {
                    message::reply_recv(self.endpoint.handle, reply, &Answer { tag, words, caps: &[] })
                }
                None => message::recv(self.endpoint.handle, reply, 0),
            };
            let arrival = match arrival {
                Ok(arrival) => arrival,
                // The endpoint is gone; or something goes on failing that should not.
                Err(error) if error == Error::Closed || failures >= 8 => return Err(error),
                Err(error) => {
                    failures = failures.saturating_add(1);
                    // After these two the answer was given and only the wait ended.
                    if !matches!(error, Error::TimedOut | Error::Cancelled) {
                        reply = self.free(reply)?;
                    }
                    continue;
                }
            };
            failures = 0;
            match arrival.kind {
                Received::Call => (reply, answer) = self.call(arrival, reply)?,
                Received::Notification => {
                    self.dispatcher.event(&mut self.endpoint, arrival.words[0]);
                    self.retry();
                }
                Received::SessionEnded => {
                    self.drop_parked(|parked| parked.request.badge == arrival.badge);
                    self.dispatcher.session_ended(&mut self.endpoint, arrival.badge);
                    self.retry();
                }
                Received::CallCancelled => {
                    let [number, ..] = arrival.words;
                    self.drop_parked(|parked| number_of(parked.reply) == number);
                }
                // No memory has this endpoint for its pager.
                Received::PageRequest => {}
                // Nothing in the protocol is one-way.
                Received::Send => close_all(arrival),
            }
        }
    }

    /// Does a call; answers the reply object to receive with next, and the answer still to be given with it.
    /// Errors: no reply object is left to go on with.
    fn call(&mut self, arrival: Arrival, reply: Handle) -> Result<(Handle, Option<Reply>)> {
        let wakes = may_wake(arrival.tag);
        let mut request = request_of(arrival, reply);
        match self.dispatcher.call(&mut self.endpoint, &mut request) {
            Turn::Answer(answer) => {
                let waiting = wakes && !self.parked.is_empty();
                if answer.caps.is_empty() && !waiting {
                    return Ok((reply, Some(answer)));
                }
                let reply = match self.answer(reply, &answer) {
                    Ok(()) => reply,
                    Err(_) => self.free(reply)?,
                };
                if waiting {
                    self.retry();
                }
                Ok((reply, None))
            }
            Turn::Parked => match self.spare_reply() {
                Some(next) => {
                    self.parked.push(Parked { reply, request });
                    Ok((next, None))
                }
                None => {
                    self.dispatcher.cancelled(&request);
                    for handle in request.caps.drain() {
                        calls::close(handle);
                    }
                    let tag = u64::from(Error::WouldBlock.number());
                    Ok((reply, Some(Reply { tag, ..Reply::default() })))
                }
            },
        }
    }

    fn spare_reply(&mut self) -> Option<Handle> {
        if let Some(reply) = self.spare.pop() {
            return Some(reply);
        }
        if self.parked.len() >= MAX_PARKED {
            return None;
        }
        calls::reply_create(Handle::SELF_QUOTA).ok()
    }

    /// Gives an answer, closing what was handed over with it. Errors: the kernel's; then it was not given.
    fn answer(&mut self, reply: Handle, answer: &Reply) -> Result<()> {
        let caps: Vec<(Handle, Rights)> = answer.caps.iter().map(|(cap, _)| (cap.handle, cap.rights)).collect();
        let out = Answer { tag: answer.tag, words: answer.words, caps: &caps };
        let refused = message::reply(reply, &out);
        for (cap, close) in &answer.caps {
            if *close {
                calls::close(cap.handle);
            }
        }
        refused
    }

    /// Frees a reply object whose answer was refused: answers with an error, or, where something of the scheme's still
    /// holds what was lent, gives it up (the caller is told when that is over) and takes another. Errors: the kernel's.
    fn free(&mut self, reply: Handle) -> Result<Handle> {
        let failed = Answer { tag: u64::from(Error::Io.number()), ..Answer::default() };
        match message::reply(reply, &failed) {
            Ok(()) | Err(Error::WrongState) => Ok(reply),
            Err(error) => {
                log::error!("a call could not be answered: {error}");
                calls::close(reply);
                self.spare_reply().ok_or(Error::OutOfQuota)
            }
        }
    }

    /// Asks every parked call again, until none of them goes on.
    fn retry(&mut self) {
        let mut again = !self.parked.is_empty();
        while again {
            again = false;
            for mut parked in core::mem::take(&mut self.parked) {
                match self.dispatcher.call(&mut self.endpoint, &mut parked.request) {
                    Turn::Parked => self.parked.push(parked),
                    Turn::Answer(answer) => {
                        let reply = parked.reply;
                        again |= may_wake(parked.request.tag);
                        let reply = self.answer(reply, &answer).map(|()| reply).or_else(|_| self.free(reply));
                        self.spare.extend(reply.ok());
                    }
                }
            }
            again &= !self.parked.is_empty();
        }
    }

    fn drop_parked(&mut self, test: impl Fn(&Parked) -> bool) {
        let (gone, kept) = core::mem::take(&mut self.parked).into_iter().partition(test);
        self.parked = kept;
        for parked in gone {
            self.give_up(parked);
        }
    }

    /// Ends a parked call whose caller does not wait any more; the answer frees its reply object.
    fn give_up(&mut self, mut parked: Parked) {
        self.dispatcher.cancelled(&parked.request);
        for handle in parked.request.caps.drain() {
            calls::close(handle);
        }
        let _ =
            message::reply(parked.reply, &Answer { tag: u64::from(Error::Cancelled.number()), ..Answer::default() });
        self.spare.push(parked.reply);
    }
}

/// The object id of a reply object: what the kernel calls it when it tells of a call that is not wanted any more.
fn number_of(reply: Handle) -> u64 {
    calls::inspect(reply).map_or(0, |(_, _, _, object)| object)
}

fn close_all(mut arrival: Arrival) {
    for handle in arrival.caps.drain() {
        calls::close(handle);
    }
}
