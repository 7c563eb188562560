//! Memory: frames, memory objects, address spaces, user memory, the pages of
//! leases, pins.
//!
//! - [`frames`], `early`: the buddy allocator over physical frames
//! - [`memory`]: memory objects: pages found through tables made of frames
//! - [`cow`], [`space_clone`]: copies that share frames until they are written
//! - [`pager`], [`page_wait`]: memory whose pages a server supplies
//! - [`space`]: address spaces: map, unmap, protect, end
//! - [`mapping`]: one mapped range, and the search for room
//! - [`fault`], `translation`: from a mapping to a translation, on demand
//! - [`user`]: copies from, to and between address spaces
//! - [`lease`]: what a server does with memory that its caller lent
//! - [`pin`]: memory held in place for devices

pub mod cow;
mod early;
pub mod fault;
pub mod frames;
pub mod lease;
pub mod mapping;
pub mod memory;
pub mod page_wait;
pub mod pager;
pub mod pin;
pub mod space;
pub mod space_clone;
mod translation;
pub mod user;

#[cfg(test)]
mod tests;
