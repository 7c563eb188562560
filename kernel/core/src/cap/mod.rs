//! Authority: who holds what, who pays, who lives.
//!
//! - [`allocate`]: objects out of arenas, charged by the page
//! - [`reference`](mod@reference): counting who names an object
//! - [`quota`](mod@quota), [`limit`], [`pressure`]: accounts
//! - [`table`]: capability tables
//! - [`derivation`]: the tree of capabilities: derive, close, revoke
//! - [`clone`](mod@clone): a table for a child
//! - [`uses`], [`faulters`]: what stems from a capability beside others
//! - [`process`] and [`thread`]: their lives and ends
//! - [`namespace`]: scheme names

pub mod allocate;
pub mod clone;
pub mod derivation;
pub mod faulters;
pub mod limit;
pub mod namespace;
pub mod pressure;
pub mod process;
pub mod quota;
pub mod reference;
pub mod table;
pub mod thread;
pub mod uses;

#[cfg(test)]
mod tests;
