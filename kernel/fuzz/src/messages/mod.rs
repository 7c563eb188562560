//! Messages between several threads, with all that they can carry, and with
//! deaths, cancellations and time in between.
//!
//! Every message carries a number, so that it is known again: it arrives at most once, through the session it was sent
//! through, as it was sent; a call ends well exactly if it was answered, with that answer. What was lent is reached
//! while it is lent, holds the lender's bytes, and is out of reach when the call is over.
//!
//! - [`record`]: what is known of a message
//! - [`stage`]: the processes and threads
//! - [`act`]: the operations
//! - [`send`]: those that send, receive and answer
//! - [`lease`]: those on what was lent
//! - [`finish`]: what came of a call that waited

mod act;
mod finish;
mod lease;
mod record;
mod send;
mod stage;

use crate::end::end;
use crate::input::Input;
use stage::{Stage, FRAMES};

/// Operations in a run at most.
const OPERATIONS: usize = 200;

/// Runs one input, on a core with this fault planted.
pub fn run<const FAULT: u8>(bytes: &[u8]) {
    kernel_core::pairs::be_strict();
    let mut input = Input::new(bytes);
    let mut stage = Stage::<FAULT>::new();
    for _ in 0..OPERATIONS {
        if input.is_empty() {
            break;
        }
        stage.act(&mut input);
        stage.finish_all();
    }
    end(&mut stage.w, FRAMES);
}
