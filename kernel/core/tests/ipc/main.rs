//! The rules of messages and of the scheduler, tried on the host: one test a
//! sentence, and every order of events in
//! the life of a call against a model.

mod cancelled;
mod donation;
mod interleavings;
mod kit;
mod leases;
mod messages;
mod notifications;
mod open;
mod page_waits;
mod pager;
mod pressure;
mod private;
mod revocation;
mod scheduler;
mod sessions;
