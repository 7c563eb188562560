//! Messages: calls, answers, what callers lend, and notifications.
//!
//! A call meets a receiver at an endpoint, in the order of urgency; the receiver brings a free reply object that
//! is bound to the call until it is answered. What a call lends lives as long as the call, and a call
//! doesn't end while anything below it still holds what was lent.
//!
//! - [`endpoint`]: queues of senders and receivers; closing
//! - [`session`]: badged ways in, and the telling of their ends
//! - [`call`]: sending, fast path first
//! - [`cancel`]: telling servers of calls that are not wanted any more
//! - [`receive`]: taking the next message, and answering on the way (fast path first)
//! - [`reply`]: answers, and how calls end without one
//! - [`lease`]: the lives of what is lent
//! - [`transfer`]: what travels beside the words
//! - [`notification`]: bits to signal and wait on
//! - [`event`]: readiness of many sessions in one queue
//! - [`futex`]: waits at words of memory
//! - [`upcall`]: what interrupts a thread; [`parked`]: the call it was in
//! - [`wait`]: waits that end before what they wait for

pub mod call;
pub mod cancel;
pub mod endpoint;
pub mod event;
pub mod fast;
pub mod futex;
pub mod lease;
pub mod notification;
pub mod parked;
pub mod receive;
pub mod reply;
pub mod session;
pub mod transfer;
pub mod upcall;
pub mod wait;
