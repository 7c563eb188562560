//! The part that fills its account. From its first object on it allocates
//! nothing of its own: there may be nothing left to allocate from.

use super::sorts::{Maker, SORTS};
use super::tally::Tally;
use super::{DONE, READY};
use crate::part::given;
use scheme::rt::calls;

/// Words: the name of a kind, and how many of it at most.
pub fn play(words: &[&str]) -> u64 {
    let [name, most] = words else { return 91 };
    let sort = SORTS.iter().find(|sort| sort.name == *name);
    let (Some(sort), Ok(most)) = (sort, most.parse::<u64>()) else { return 92 };
    let mut maker = Maker::new();
    let begun = calls::memory_write(given("board"), 0, &maker.tally.to_bytes())
        .and_then(|()| touch_stack())
        .and_then(|()| calls::notify(given("news"), READY))
        .and_then(|()| calls::wait(given("go"), 0));
    if begun.is_err() {
        return 93;
    }
    while maker.tally.rounds() < most {
        match (sort.make)(&mut maker) {
            Ok(()) => maker.tally.round(),
            Err(error) => {
                maker.tally.end(error);
                break;
            }
        }
    }
    match tell(&maker.tally) {
        // Whoever asked looks at what was made, and ends this process.
        Ok(()) => calls::wait(given("go"), 0).map_or(95, |_| 0),
        Err(_) => 94,
    }
}

/// Puts the count on the board and says so.
fn tell(tally: &Tally) -> abi::Result<()> {
    calls::memory_write(given("board"), 0, &tally.to_bytes())?;
    calls::notify(given("news"), DONE)
}

/// Has the pages of the stack in memory that will be needed.
#[inline(never)]
fn touch_stack() -> abi::Result<()> {
    let mut room = [0u8; 8 * abi::memory::PAGE_SIZE as usize];
    core::hint::black_box(&mut room);
    Ok(())
}
