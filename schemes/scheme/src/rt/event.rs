//! Event queues, readiness and futexes, safe: what takes an address takes a
//! reference here.

use super::syscall;
use abi::event::{Mode, BATCH};
use abi::{Handle, Result};
use core::sync::atomic::AtomicU32;

/// Makes an event queue for at most `capacity` sessions.
pub fn queue_create(quota: Handle, capacity: u64) -> Result<Handle> {
    // SAFETY: no address.
    unsafe { syscall::queue_create(quota, capacity) }
}

/// Watches a session's readiness under a key.
pub fn queue_add(queue: Handle, session: Handle, key: u64, mask: u32, mode: Mode) -> Result<()> {
    // SAFETY: no address.
    unsafe { syscall::queue_add(queue, session, key, u64::from(mask), mode as u64) }
}

/// Changes what is watched under a key, and arms it again.
pub fn queue_change(queue: Handle, key: u64, mask: u32, mode: Mode) -> Result<()> {
    // SAFETY: no address.
    unsafe { syscall::queue_change(queue, key, u64::from(mask), mode as u64) }
}

/// Watches under a key no more.
pub fn queue_remove(queue: Handle, key: u64) -> Result<()> {
    // SAFETY: no address.
    unsafe { syscall::queue_remove(queue, key) }
}

/// Waits for events and writes them as (key, ready bits); how many. Deadline 0: for ever; 1: not at all.
pub fn queue_wait(queue: Handle, events: &mut [[u64; 2]], deadline_ns: u64) -> Result<usize> {
    let room = events.len().min(BATCH) as u64;
    // SAFETY: the kernel writes at most `room` pairs of words, which is no more than `events` has.
    unsafe { syscall::queue_wait(queue, events.as_mut_ptr() as u64, room, deadline_ns) }.map(|count| count as usize)
}

/// Sets bits in a notification whenever the queue comes to hold an event; `Handle::NONE`: no more.
pub fn queue_bind(queue: Handle, notification: Handle, bits: u64) -> Result<()> {
    // SAFETY: no address.
    unsafe { syscall::queue_bind(queue, notification, bits) }
}

/// Clears and then sets bits of the readiness of the session with a badge.
pub fn session_ready(endpoint: Handle, badge: u64, set: u32, clear: u32) -> Result<()> {
    // SAFETY: no address.
    unsafe { syscall::session_ready(endpoint, badge, u64::from(set), u64::from(clear)) }
}

/// Waits at a word while it holds a value, until it is woken. Deadline 0: for ever.
pub fn futex_wait(word: &AtomicU32, expected: u32, deadline_ns: u64) -> Result<()> {
    // SAFETY: the kernel reads the word, which lives through the call.
    unsafe { syscall::futex_wait(word.as_ptr() as u64, u64::from(expected), deadline_ns) }
}

/// Wakes at most `count` who wait at a word; how many.
pub fn futex_wake(word: &AtomicU32, count: u32) -> Result<u64> {
    // SAFETY: nothing is read or written.
    unsafe { syscall::futex_wake(word.as_ptr() as u64, u64::from(count)) }
}

/// Where a word holds a value, wakes at most `count` who wait there and has at most `to_count` others wait at `to`
/// instead; how many of each.
pub fn futex_requeue(word: &AtomicU32, expected: u32, count: u32, to: &AtomicU32, to_count: u32) -> Result<(u64, u64)> {
    let (word, to) = (word.as_ptr() as u64, to.as_ptr() as u64);
    // SAFETY: the kernel reads the word, which lives through the call.
    unsafe { syscall::futex_requeue(word, u64::from(expected), u64::from(count), to, u64::from(to_count)) }
}
