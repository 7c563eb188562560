//! The security policy and the audit record, tried on the host: every way a
//! session can take between labels, every refusal, and random ones against
//! the matrix.

mod audit;
mod kit;
mod model;
mod policy;
mod rules;
