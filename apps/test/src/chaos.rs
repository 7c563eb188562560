//! Random calls: a process that does anything at all ends, or is ended, and
//! nobody else notices.

use crate::part::{content, Part, Role};
use crate::raw;
use crate::tap::{check, works, Check, Test};
use abi::Handle;
use scheme::process::Status;
use scheme::rt::calls;
use scheme::time;

/// The tests.
pub const TESTS: &[Test] = &[Test { name: "random-calls-harm-only-their-caller", run: random }];

/// The parts played here.
pub const PARTS: &[Role] = &[("random", |words| {
    let seed = words.first().and_then(|word| word.parse().ok()).unwrap_or(1);
    play(seed)
})];

/// Processes, and calls of each.
const SEEDS: u64 = 24;
const CALLS: u32 = 3000;
/// How long one may run: among random calls are waits without end.
const LONGEST_NS: u64 = time::SECOND / 2;

/// Marsaglia's xorshift64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// An argument of the kinds that can get somewhere.
    fn argument(&mut self) -> u64 {
        let value = self.next();
        match value % 8 {
            0 => value >> 3 & 0xff,
            1 => Handle::FIRST_PSEUDO as u64 + (value >> 3 & 15),
            2 => (value >> 3 & 0x3f) | 1 << 16,
            3 => 0x1000_0000_0000 | (value >> 3 & 0xffff_f000),
            4 => 0xffff_8000_0000_0000 | value >> 3,
            5 => 1 << (value >> 3 & 63),
            6 => calls::clock().unwrap_or(0) + (value >> 3 & 0xff_ffff),
            _ => value,
        }
    }
}

fn play(seed: u64) -> u64 {
    let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    for _ in 0..CALLS {
        // An exit, a wait without end or suspending oneself would be the end of this seed's calls; they have tests of their own.
        let number = match random.next() % 0xa8 {
            0x52 | 0x5a | 0x61 | 0x84 | 0x87 | 0x90 => continue,
            number => abi::call::FIRST + number,
        };
        let args = core::array::from_fn(|_| random.argument());
        raw::any_number(number, args);
    }
    0
}

fn random() -> Check {
    let (mut whole, mut faulted, mut killed) = (0, 0, 0);
    for seed in 1..=SEEDS {
        let word = alloc::format!("{seed}");
        // Its own account: what it takes comes back when it is gone.
        let process = Part::new("random", &[&word]).of_pages(2048).start()?;
        if process.wait(time::after_ns(LONGEST_NS)).is_err() {
            works("ending it", process.kill(1))?;
        }
        match crate::part::end_of(&process)? {
            Status::Exited(_) => whole += 1,
            Status::Faulted(_) => faulted += 1,
            _ => killed += 1,
        }
        // The system goes on: calls work, a process starts and ends.
        works("the clock", calls::clock())?;
    }
    log::info!("random processes: {whole} made all their calls, {faulted} died of one, {killed} waited for ever");
    check(whole > SEEDS / 2, "most random processes did not make all their calls")?;
    content(Part::new("live", &[]).run()?)
}
