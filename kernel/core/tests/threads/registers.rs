//! Registers of stopped threads: what is read, what can be set, what is refused.

use crate::kit::failed;
use crate::scene::{Scene, NOWHERE, PLACE};
use abi::call::Call;
use abi::memory::{USER_END, USER_START};
use abi::thread::Registers;
use abi::Error;
use kernel_core::world::Outcome;

#[test]
fn registers_are_read_as_they_were_set() {
    let mut s = Scene::new();
    let tc = s.tc;
    s.ok(Call::ThreadSuspend, &[tc]);
    let words = core::array::from_fn(|i| 0x1000_0000 + i as u64);
    let wanted = Registers { rflags: 0x202, rip: 0x40_0000, rsp: u64::MAX, ..Registers::from_words(words) };
    assert!(matches!(s.set_registers(tc, &wanted), Outcome::Done(_)));
    assert_eq!(s.registers(tc), wanted);
    let t = &s.p.w.kernel.threads[s.p.c].registers;
    assert_eq!((t.full_frame.get(), t.words[5].get(), t.rcx.get()), (1, wanted.r15, wanted.rcx));
    s.p.w.end();
}

#[test]
fn after_a_kernel_call_rcx_and_r11_are_what_sysret_leaves() {
    let mut s = Scene::new();
    let tc = s.tc;
    let t = &s.p.w.kernel.threads[s.p.c].registers;
    t.full_frame.set(0);
    t.rip.set(0x40_0002);
    t.rflags.set(0x246);
    s.ok(Call::ThreadSuspend, &[tc]);
    let r = s.registers(tc);
    assert_eq!((r.rcx, r.r11), (0x40_0002, 0x246));
    s.p.w.end();
}

#[test]
fn flags_are_made_harmless_and_addresses_outside_the_user_half_refused() {
    let mut s = Scene::new();
    let tc = s.tc;
    s.ok(Call::ThreadSuspend, &[tc]);
    let good = Registers { rip: USER_START, fs_base: USER_END - 1, rflags: u64::MAX, ..Registers::default() };
    assert!(matches!(s.set_registers(tc, &good), Outcome::Done(_)));
    let flags = s.registers(tc).rflags;
    // IF on; IOPL, NT, RF, VM, VIF, VIP off; single step is the user's own business.
    assert_eq!((flags & 0x202, flags & 0x1b_7000, flags & 0x100), (0x202, 0, 0x100));
    let before = s.registers(tc);
    for bad in [
        Registers { rip: 0, ..good },
        Registers { rip: USER_START - 1, ..good },
        Registers { rip: USER_END, ..good },
        Registers { rip: 0x8000_0000_0000, ..good },
        Registers { rip: 0xffff_ffff_8000_0000, ..good },
        Registers { fs_base: USER_END, ..good },
        Registers { fs_base: u64::MAX, ..good },
    ] {
        assert_eq!(failed(s.set_registers(tc, &bad)), Some(Error::BadAddress));
        assert_eq!(s.registers(tc), before, "nothing was set");
    }
    s.p.w.end();
}

#[test]
fn who_runs_or_waits_is_left_alone() {
    let mut s = Scene::new();
    let (tc, keeper) = (s.tc, s.p.keeper);
    let good = Registers { rip: USER_START, ..Registers::default() };
    assert_eq!(s.err(Call::ThreadRegisters, &[tc, PLACE]), Error::WrongState);
    assert_eq!(failed(s.set_registers(tc, &good)), Some(Error::WrongState));
    s.p.client_calls(7);
    s.ok(Call::ThreadSuspend, &[tc]);
    // It waits: it can be looked at, with what it sent.
    assert_eq!(s.registers(tc).rsi, 7);
    assert_eq!(failed(s.set_registers(tc, &good)), Some(Error::WrongState));
    s.ok(Call::ThreadCancel, &[tc]);
    assert_eq!(s.registers(tc).rax, u64::from(Error::Cancelled.number()));
    assert!(matches!(s.set_registers(tc, &good), Outcome::Done(_)));
    // Bad places for the words.
    for call in [Call::ThreadRegisters, Call::ThreadSetRegisters] {
        assert_eq!(s.err(call, &[tc, NOWHERE]), Error::BadAddress);
        assert_eq!(s.err(call, &[tc, u64::MAX - 3]), Error::BadAddress);
    }
    // Words across a page border are as good as others.
    let across = PLACE + 4096 - 16;
    s.ok(Call::ThreadRegisters, &[tc, across]);
    s.ok(Call::ThreadSetRegisters, &[tc, across]);
    let process = s.p.client;
    s.p.w.kill(process);
    for call in [Call::ThreadRegisters, Call::ThreadSetRegisters, Call::ThreadSuspend, Call::ThreadResume] {
        assert_eq!(s.err(call, &[tc, PLACE]), Error::Closed);
    }
    let _ = keeper;
    s.p.w.end();
}
