//! Labels, policy and audit record: the kernel's calls, and the types that this
//! program's manifest gave it.

use super::{start, syscall};
use abi::security::{Record, NAME, PATH, RECORD_LENGTH, RECORD_WORDS};
use abi::{Handle, Result};
use alloc::string::String;
use alloc::vec::Vec;

/// The variable with the number of the type that a server's sessions have; after a `_` and a name in capitals, those of
/// the further types of its manifest.
pub const OBJECT_TYPE: &str = "OBJECT_TYPE";
/// Records read at once.
const RECORDS: usize = 16;

/// The type that this server's sessions have where it says no other; 0 where its manifest says nothing.
pub fn object_type() -> u64 {
    number(OBJECT_TYPE)
}

/// The type that the manifest calls `name`; 0 where it says nothing.
pub fn object_type_of(name: &str) -> u64 {
    number(&variable_of(name))
}

/// The variable with the number of the type that a manifest calls `name`.
pub fn variable_of(name: &str) -> String {
    [OBJECT_TYPE, "_", &name.to_ascii_uppercase()].concat()
}

fn number(variable: &str) -> u64 {
    start::variable(variable).and_then(|number| number.parse().ok()).unwrap_or(0)
}

/// Loads the security policy. Errors: `WrongState` (there is one), `BadArgument`, the kernel's.
pub fn policy_load(system: Handle, policy: &[u8]) -> Result<()> {
    // SAFETY: the kernel reads the slice.
    unsafe { syscall::policy_load(system, policy.as_ptr() as u64, policy.len() as u64) }
}

/// Gives a process without threads and capabilities another label. Errors: `WrongState`, `BadArgument`, `Denied`,
/// `Closed`, the kernel's.
pub fn process_label(process: Handle, label: u32) -> Result<()> {
    // SAFETY: the row takes no address of the caller's.
    unsafe { syscall::process_label(process, u64::from(label)) }
}

/// Records of a ring from a position on, the next position, and how many were lost before these. Nothing is left where
/// there is no record. Errors: `WrongState` (no policy), `BadArgument` (no such ring), the kernel's.
pub fn audit_read(system: Handle, ring: u64, position: u64) -> Result<(Vec<Record>, u64, u64)> {
    let mut words = [[0u64; RECORD_WORDS]; RECORDS];
    let room = (RECORDS * RECORD_LENGTH) as u64;
    // SAFETY: the kernel writes at most `room` bytes, and any are words.
    let (length, next, lost) = unsafe { syscall::audit_read(system, ring, position, words.as_mut_ptr() as u64, room) }?;
    let count = usize::try_from(length).unwrap_or(0) / RECORD_LENGTH;
    Ok((words.iter().take(count).filter_map(Record::from_words).collect(), next, lost))
}

/// Adds a note to the record: a service's name and a text, both cut at what a record holds. Errors: the kernel's.
pub fn audit_write(system: Handle, service: &str, text: &str) -> Result<()> {
    let mut bytes = [0u8; NAME + PATH];
    let (name, rest) = bytes.split_at_mut(NAME);
    name.iter_mut().zip(service.bytes()).for_each(|(place, byte)| *place = byte);
    rest.iter_mut().zip(text.bytes()).for_each(|(place, byte)| *place = byte);
    let length = NAME.saturating_add(text.len().min(PATH));
    // SAFETY: the kernel reads the first `length` bytes of the array.
    unsafe { syscall::audit_write(system, bytes.as_ptr() as u64, length as u64) }
}
