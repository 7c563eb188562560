//! Tells what an input does, operation by operation, where somebody wants to
//! know: with `FUZZ_TRACE` in the environment.

use std::sync::OnceLock;

/// Whether to tell.
pub fn is_on() -> bool {
    static ON: OnceLock<bool> = OnceLock::new();
    *ON.get_or_init(|| std::env::var_os("FUZZ_TRACE").is_some())
}

/// Tells one thing.
pub fn tell(what: impl FnOnce() -> String) {
    if is_on() {
        eprintln!("{}", what());
    }
}
