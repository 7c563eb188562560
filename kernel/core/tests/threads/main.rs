//! What becomes of threads, tried on the host: suspending, registers, upcalls,
//! fault handlers, foreign call numbers; each rule, each error, each state.

#[path = "../ipc/kit.rs"]
#[allow(dead_code, reason = "shared with the tests of messages, which use the rest")]
mod kit;

mod exhausted;
mod faults;
mod foreign;
mod parked;
mod random;
mod registers;
mod scene;
mod states;
mod suspend;
mod upcalls;
