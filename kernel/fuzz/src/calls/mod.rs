//! Any call with any registers, from several processes, with time, interrupts,
//! faults and deaths in between.
//!
//! After each operation [`World::check`](kernel_core::world::World::check) holds; no call goes past its first line without
//! the authority that its row asks for; and no call answers with an error that is not documented.
//!
//! - [`stage`]: the processes, and what they have to begin with
//! - [`argument`]: a register's worth, by the name of the argument
//! - [`act`]: the operations

mod act;
mod argument;
mod stage;

use crate::end::end;
use crate::input::Input;
use stage::Stage;

/// Operations in a run at most: more are better found as two inputs.
const OPERATIONS: usize = 160;

/// Runs one input, on a core with this fault planted.
pub fn run<const FAULT: u8>(bytes: &[u8]) {
    kernel_core::pairs::be_strict();
    let mut input = Input::new(bytes);
    let mut stage = Stage::<FAULT>::new(input.byte());
    for _ in 0..OPERATIONS {
        if input.is_empty() {
            break;
        }
        stage.act(&mut input);
    }
    end(&mut stage.w, stage.frames);
}
