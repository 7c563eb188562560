//! Loading: whole or not at all, once, and nothing of it believed.

use crate::kit::{bytes, Kit, SHAPE};
use abi::call::Call;
use abi::security::{Shape, HEADER, MAX_LENGTH, RIGHTS};
use abi::{Error, Rights};
use kernel_core::world::{World, LENT};

#[test]
fn a_policy_is_loaded_once() {
    let mut kit = Kit::new();
    kit.put(kit.init, &bytes());
    let free = kit.w.kernel.frames.free();
    assert_eq!(kit.w.kernel.security.frames(), 0);
    assert_eq!(kit.load(&bytes()), Ok(()));
    assert_eq!(kit.w.kernel.frames.free() + kit.w.kernel.security.frames(), free);
    assert_eq!(kit.load(&bytes()), Err(Error::WrongState), "sealed");
    assert_eq!(kit.w.kernel.frames.free() + kit.w.kernel.security.frames(), free);
    kit.w.end();
}

#[test]
fn what_is_malformed_is_refused_and_leaves_nothing() {
    let mut kit = Kit::new();
    // What is brought in for a page once stays.
    kit.put(kit.init, &[0; MAX_LENGTH / 4]);
    let free = kit.w.kernel.frames.free();
    let good = bytes();
    let mut bad: Vec<(String, Vec<u8>)> = Vec::new();
    for cut in [0, 8, HEADER - 1, HEADER, good.len() - 1] {
        bad.push((format!("cut at {cut}"), good[..cut].to_vec()));
    }
    bad.push(("longer".into(), [&good[..], &[0; 8]].concat()));
    for at in 0..HEADER {
        let mut policy = good.clone();
        policy[at] ^= 1 << (at % 8);
        bad.push((format!("header byte {at}"), policy));
    }
    let mut put = |what: &str, change: &dyn Fn(&mut Vec<u8>)| {
        let mut policy = good.clone();
        change(&mut policy);
        assert_ne!(policy, good, "{what}");
        bad.push((what.into(), policy));
    };
    put("a right that sessions don't have", &|p| SHAPE.allow(p, 2, 1, Rights::READ));
    put("something for the default subject", &|p| SHAPE.allow(p, 0, 1, Rights::SEND));
    put("something for the default type", &|p| SHAPE.allow(p, 2, 0, Rights::SEND));
    put("a label from the default subject", &|p| SHAPE.let_label(p, 0, 2));
    put("a label beyond the last", &|p| p[SHAPE.transition(2, 0)] |= 1 << SHAPE.subjects);
    let odd = Shape { subjects: 3, types: 3 };
    let mut padded = odd.header().to_vec();
    padded.resize(odd.length(), 0);
    assert_eq!(kit_load_all(&mut kit, &bad, free), bad.len());
    let mut wrong = padded.clone();
    wrong[HEADER + 18] = 1;
    assert_eq!(kit.load(&wrong), Err(Error::BadArgument), "padding");
    assert_eq!(kit.load(&padded), Ok(()));
    kit.w.end();
}

fn kit_load_all(kit: &mut Kit, bad: &[(String, Vec<u8>)], free: u32) -> usize {
    for (what, policy) in bad {
        assert_eq!(kit.load(policy), Err(Error::BadArgument), "{what}");
        assert_eq!(kit.w.kernel.frames.free(), free, "{what}");
    }
    bad.len()
}

#[test]
fn one_that_is_not_there_or_too_long_is_refused() {
    let mut kit = Kit::new();
    let (t, system) = (kit.init.thread, kit.system);
    assert_eq!(kit.w.err(t, Call::PolicyLoad, &[system, 0x10, 100]), Error::BadAddress);
    assert_eq!(kit.w.err(t, Call::PolicyLoad, &[system, LENT, MAX_LENGTH as u64 + 1]), Error::BadArgument);
    // The header is there and the rest is not.
    let last = kernel_core::world::MEMORY + kernel_core::world::PAGES * 4096 - HEADER as u64;
    kit.w.kernel.user_write(kit.init.process, last, &SHAPE.header()).unwrap();
    let free = kit.w.kernel.frames.free();
    assert_eq!(kit.w.err(t, Call::PolicyLoad, &[system, last, SHAPE.length() as u64]), Error::BadAddress);
    assert_eq!(kit.w.kernel.frames.free(), free);
    assert_eq!(kit.load(&bytes()), Ok(()), "and nothing is sealed by that");
    kit.w.end();
}

#[test]
fn one_that_the_machine_has_no_room_for_is_refused() {
    let mut kit = Kit::new();
    kit.put(kit.init, &bytes());
    let args = [kit.system, LENT, bytes().len() as u64];
    let root = kit.w.kernel.root_quota();
    let left = kit.w.kernel.quotas[root].limit_pages.get() - kit.w.kernel.quotas[root].used_pages.get();
    kit.w.kernel.charge(root, left).unwrap();
    assert_eq!(kit.w.err(kit.init.thread, Call::PolicyLoad, &args), Error::OutOfQuota);
    kit.w.kernel.uncharge(root, left);
    // Every other frame is taken: no run is left.
    let mut taken = Vec::new();
    while let Some(frame) = kit.w.kernel.frames.take() {
        taken.push(frame);
    }
    assert_eq!(kit.w.err(kit.init.thread, Call::PolicyLoad, &args), Error::OutOfMemory);
    for frame in taken {
        kit.w.kernel.frames.release(frame);
    }
    assert_eq!(kit.load(&bytes()), Ok(()));
    kit.w.end();
}

#[test]
fn the_greatest_policy_fits() {
    let shape = Shape { subjects: 256, types: 100 };
    assert!(shape.is_valid() && shape.length() > MAX_LENGTH * 9 / 10);
    let mut kit = Kit::new();
    let mut policy = shape.header().to_vec();
    policy.resize(shape.length(), 0);
    shape.allow(&mut policy, 255, 99, Rights::SEND);
    shape.let_label(&mut policy, 255, 254);
    // Longer than a test process's memory: it is read where it lies.
    let kernel = &kit.w.kernel;
    let quota = kernel.root_quota();
    let pages = (policy.len() as u64).div_ceil(4096);
    let memory = kernel.memory_new(quota, pages, abi::memory::MemoryFlags::empty()).unwrap();
    let space = kernel.processes[kit.init.process].space.get().unwrap();
    let access = abi::memory::Protection::READ | abi::memory::Protection::WRITE;
    let at = 0x4000_0000;
    let backing = kernel_core::mm::mapping::Backing::Memory(memory, 0);
    kernel.space_enter(space, at, pages, backing, access, access).unwrap();
    kernel.user_write(kit.init.process, at, &policy).unwrap();
    kit.w.ok(kit.init.thread, Call::PolicyLoad, &[kit.system, at, policy.len() as u64]);
    let kernel = &kit.w.kernel;
    assert_eq!(kernel.policy_rights(255, 99), Rights::SEND);
    assert_eq!(kernel.policy_rights(255, 98), Rights::empty());
    assert_eq!(kernel.policy_rights(256, 0), Rights::empty());
    assert_eq!(kernel.policy_rights(255, 100), Rights::empty());
    assert!(kernel.policy_transition(255, 254) && !kernel.policy_transition(255, 253));
    assert!(!kernel.policy_transition(256, 254) && !kernel.policy_transition(254, 256));
    kit.w.end();
}

#[test]
fn whatever_is_loaded_gives_the_defaults_nothing() {
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    let mut below = |n: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % n as u64) as usize
    };
    let (mut taken, mut refused) = (0, 0);
    for round in 0..400 {
        let mut policy = bytes();
        // Most bytes are of no consequence but in the rules; headers have a test of their own.
        for _ in 0..=below(2) {
            let at = HEADER + below(policy.len() - HEADER);
            policy[at] ^= 1 << below(8);
        }
        let mut kit = Kit::new();
        match kit.load(&policy) {
            Ok(()) => taken += 1,
            Err(error) => {
                assert_eq!(error, Error::BadArgument, "round {round}");
                refused += 1;
                continue;
            }
        }
        let k = &kit.w.kernel;
        for number in 0..8 {
            assert_eq!(k.policy_rights(0, number) | k.policy_rights(number, 0), Rights::empty(), "round {round}");
            assert!(!k.policy_transition(0, number), "round {round}");
            assert!((0..8).all(|t| RIGHTS.contains(k.policy_rights(number, t))), "round {round}");
        }
    }
    assert!(taken > 20 && refused > 20, "{taken} taken, {refused} refused: the rounds show nothing");
}

#[test]
fn the_first_process_is_init() {
    let world = World::new();
    let frame = world.kernel.frames.take().unwrap();
    let init =
        kernel_core::boot::Init { name: b"init", initfs: frame, initfs_pages: 1, acpi_first_page: 0, acpi_pages: 0 };
    let process = world.kernel.boot_init(init).unwrap();
    assert_eq!(world.kernel.processes[process].label.get(), abi::security::INIT_SUBJECT);
}
