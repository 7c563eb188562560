//! What a thread finds in its registers when it runs again.

use crate::part::deadline;
use crate::raw::{direction_flag_survives, fill_registers, registers_hold, VECTORS};
use crate::tap::{check, works, Check, Test};
use scheme::rt::{calls, thread};
use scheme::time;

/// The tests.
pub const TESTS: &[Test] = &[
    Test { name: "vector-registers-are-each-threads-own", run: vectors },
    Test { name: "vector-registers-do-not-leak-to-new-threads", run: fresh },
    Test { name: "the-kernel-bears-odd-flags", run: flags },
];

fn pattern(seed: u8) -> [u8; VECTORS] {
    core::array::from_fn(|i| (i as u8).wrapping_mul(31).wrapping_add(seed))
}

/// Keeps a pattern in the registers while others run; whether it stayed each time.
fn keep(seed: u8) -> bool {
    let (pattern, mode) = (pattern(seed), seed % 2 == 1);
    fill_registers(&pattern, mode);
    for turn in 0..400 {
        if turn % 40 == 39 {
            // Long enough for the others to have their turn, and for the processor to idle.
            time::sleep_ns(time::MILLISECOND);
        } else if calls::thread_yield().is_err() {
            return false;
        }
        if !registers_hold(&pattern, mode) {
            return false;
        }
    }
    true
}

fn vectors() -> Check {
    let mut threads = alloc::vec::Vec::new();
    for seed in 1..=4 {
        threads.push(works("a thread", thread::spawn(128, move || keep(seed)))?);
    }
    let own = keep(5);
    for thread in threads {
        check(works("a thread's end", thread.join(deadline()))?, "a thread found another's registers")?;
    }
    check(own, "this thread found another's registers")
}

fn fresh() -> Check {
    fill_registers(&pattern(77), true);
    let sees = thread::spawn(128, || registers_hold(&[0; VECTORS], false));
    let clean = works("its end", works("a thread", sees)?.join(deadline()))?;
    check(clean, "a new thread found something in its registers")?;
    check(registers_hold(&pattern(77), true), "ours are gone")
}

fn flags() -> Check {
    check(direction_flag_survives(), "a call with the direction flag set")
}
