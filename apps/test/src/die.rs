//! Programs that die of what they try: each ends with the fault it should, and
//! nothing else happens.

use crate::part::{content, Part, Role};
use crate::raw::{self, Forbidden};
use crate::tap::{refused, same, Check, Test};
use abi::memory::{Protection, PAGE_SIZE};
use abi::start::layout;
use abi::{Error, Handle};
use alloc::format;
use scheme::process::Status;
use scheme::rt::calls;

/// General protection, page fault, invalid instruction, division, breakpoint (SDM 3A, table 6-1).
const PROTECTION: u64 = 13;
const PAGE: u64 = 14;
const INVALID: u64 = 6;
const DIVIDE: u64 = 0;
const BREAKPOINT: u64 = 3;
/// A call number that no handler takes.
const FOREIGN: u64 = 0x100;
/// An address of the kernel's half.
const KERNEL: u64 = 0xffff_ffff_8000_0000;
/// An address that is none (SDM 1, 3.3.7.1).
const NON_CANONICAL: u64 = 0x8000_0000_0000_0000;

/// A way to die.
pub struct Way {
    /// Its name.
    pub name: &'static str,
    /// The vector it ends with.
    vector: u64,
    act: fn(),
}

const fn way(name: &'static str, vector: u64, act: fn()) -> Way {
    Way { name, vector, act }
}

/// All ways.
pub const WAYS: &[Way] = &[
    way("null-load", PAGE, || {
        raw::load(0);
    }),
    way("null-store", PAGE, || raw::store(8, 1)),
    way("null-jump", PAGE, || raw::jump(0)),
    way("kernel-load", PAGE, || {
        raw::load(KERNEL);
    }),
    way("kernel-store", PAGE, || raw::store(KERNEL, 1)),
    way("kernel-jump", PAGE, || raw::jump(KERNEL)),
    way("non-canonical-load", PROTECTION, || {
        raw::load(NON_CANONICAL);
    }),
    way("non-canonical-jump", PROTECTION, || raw::jump(NON_CANONICAL)),
    way("code-store", PAGE, || raw::store(main_address(), 0x90)),
    way("stack-jump", PAGE, || {
        let code = [0xc3u8; 16];
        raw::jump(code.as_ptr() as u64);
    }),
    way("heap-jump", PAGE, || {
        let code = alloc::vec![0xc3u8; 64];
        raw::jump(code.as_ptr() as u64);
    }),
    way("start-block-store", PAGE, || raw::store(layout::START_BLOCK, 0)),
    way("stack-overflow", PAGE, || raw::store(layout::STACK_TOP - layout::STACK_LENGTH - 8, 1)),
    way("unmapped-load", PAGE, || {
        raw::load(mapped_and_unmapped());
    }),
    way("in", PROTECTION, || raw::forbidden(Forbidden::In)),
    way("out", PROTECTION, || raw::forbidden(Forbidden::Out)),
    way("hlt", PROTECTION, || raw::forbidden(Forbidden::Halt)),
    way("cli", PROTECTION, || raw::forbidden(Forbidden::ClearInterrupts)),
    way("cr3", PROTECTION, || raw::forbidden(Forbidden::PageTable)),
    way("rdmsr", PROTECTION, || raw::forbidden(Forbidden::ModelSpecific)),
    way("lgdt", PROTECTION, || raw::forbidden(Forbidden::Descriptors)),
    way("swapgs", PROTECTION, || raw::forbidden(Forbidden::SwapGs)),
    way("ud2", INVALID, || raw::forbidden(Forbidden::Undefined)),
    way("divide", DIVIDE, || raw::forbidden(Forbidden::Divide)),
    way("int3", BREAKPOINT, || raw::forbidden(Forbidden::Breakpoint)),
    way("foreign-call", FOREIGN, || {
        raw::any_number(39, [0; 6]);
    }),
];

/// An address in the program's code.
fn main_address() -> u64 {
    main_address as fn() -> u64 as usize as u64
}

/// An address where memory was a moment ago.
fn mapped_and_unmapped() -> u64 {
    let address = calls::memory_create(Handle::SELF_QUOTA, 1, abi::memory::MemoryFlags::empty())
        .and_then(|memory| raw::map(memory, 0, PAGE_SIZE, Protection::READ | Protection::WRITE));
    let Ok(address) = address else { calls::exit(91) };
    // While it is there it can be read: else this would not show what it is to show.
    raw::store(address, 7);
    if raw::load(address) != 7 || raw::unmap(address, PAGE_SIZE).is_err() {
        calls::exit(92)
    }
    address
}

/// Dies in one of the ways. Whoever lives on tells so.
pub fn die(how: &str) -> u64 {
    match WAYS.iter().find(|way| way.name == how) {
        Some(way) => {
            (way.act)();
            93
        }
        None => 2,
    }
}

/// The parts played here.
pub const PARTS: &[Role] = &[("die", |words| die(words.first().copied().unwrap_or(""))), ("live", |_| 0)];

/// The tests.
pub const TESTS: &[Test] = &[
    Test { name: "each-fault-ends-its-process-alone", run: each_fault },
    Test { name: "ports-need-a-capability", run: ports },
];

fn each_fault() -> Check {
    for way in WAYS {
        let status = Part::new("die", &[way.name]).run()?;
        same(way.name, status, Status::Faulted(way.vector))?;
    }
    // The system goes on: the same program runs, and ends as it should.
    content(Part::new("live", &[]).run()?)
}

fn ports() -> Check {
    refused("a port through no handle", raw::port_call(Handle::NONE, 0x80), Error::BadHandle)?;
    refused("a port through ourselves", raw::port_call(Handle::SELF_PROCESS, 0x80), Error::WrongKind)?;
    let status = Part::new("die", &["in"]).run()?;
    same("`in` without a capability", format!("{status:?}"), format!("{:?}", Status::Faulted(PROTECTION)))
}
