//! The rules of event queues, futexes, timers and watches, tried on the host:
//! one test a sentence, and random orders against small models.

mod futex;
mod futex_model;
#[allow(dead_code, reason = "the kit is for all tests of messages; these use its part")]
#[path = "../ipc/kit.rs"]
mod kit;
mod queue;
mod queue_model;
mod random;
mod timers;
mod watches;
