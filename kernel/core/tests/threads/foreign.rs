//! Call numbers below the kernel's.

use crate::scene::{Scene, ENTRY};
use abi::call::{Call, FIRST};
use abi::memory::USER_END;
use abi::{Error, Handle};
use kernel_core::object::ProcessState;

const OWN: u64 = Handle::SELF_PROCESS.0 as u64;

#[test]
fn a_foreign_number_goes_to_the_handler_with_everything_kept() {
    let mut s = Scene::new();
    let c = s.p.c;
    s.p.w.ok(c, Call::ForeignHandler, &[OWN, ENTRY]);
    for number in [0, 1, 231, FIRST - 1] {
        s.p.w.force(c);
        let r = &s.p.w.kernel.threads[c].registers;
        let arguments = [&r.rdi, &r.rsi, &r.rdx, &r.r10, &r.r8, &r.r9];
        for (i, place) in arguments.iter().enumerate() {
            place.set(70 + i as u64);
        }
        r.rax.set(number);
        r.rip.set(0x40_0102);
        r.rflags.set(0x246);
        r.rsp.set(0x7000_0001);
        r.full_frame.set(0);
        s.p.w.syscall();
        let r = &s.p.w.kernel.threads[c].registers;
        assert_eq!((r.rax.get(), r.rip.get(), r.rcx.get()), (number, ENTRY, 0x40_0102));
        // By `iretq`: `sysret` would put rip into rcx.
        assert_eq!((r.r11.get(), r.rsp.get(), r.full_frame.get()), (0x246, 0x7000_0001, 1));
        let arguments = [&r.rdi, &r.rsi, &r.rdx, &r.r10, &r.r8, &r.r9];
        assert!(arguments.iter().enumerate().all(|(i, place)| place.get() == 70 + i as u64));
    }
    // The kernel's own numbers are not asked about; 0 takes the handler away.
    s.p.w.ok(c, Call::Clock, &[]);
    s.p.w.ok(c, Call::ForeignHandler, &[OWN, 0]);
    s.p.w.force(c);
    s.p.w.kernel.threads[c].registers.rax.set(39);
    s.p.w.syscall();
    assert_eq!(s.died_of(s.p.client), Some(0x100));
    s.p.w.end();
}

#[test]
fn a_handler_has_to_be_in_the_user_half_of_a_living_process() {
    let mut s = Scene::new();
    let (c, client) = (s.p.c, s.p.client);
    for bad in [1, USER_END, u64::MAX] {
        assert_eq!(s.p.w.err(c, Call::ForeignHandler, &[OWN, bad]), Error::BadAddress);
    }
    let all = abi::Rights::all();
    let handle = s.p.w.kernel.cap_insert(s.p.keeper, abi::Kind::Process, client.raw(), all, None).expect("room").word();
    s.ok(Call::ForeignHandler, &[handle, ENTRY]);
    assert_eq!(s.p.w.kernel.processes[client].foreign_handler.get(), ENTRY);
    s.p.w.kill(client);
    assert_eq!(s.p.w.kernel.processes[client].state.get(), ProcessState::Killed);
    assert_eq!(s.err(Call::ForeignHandler, &[handle, ENTRY]), Error::Closed);
    s.p.w.end();
}
