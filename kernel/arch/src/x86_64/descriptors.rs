//! Segments, the task state, and the interrupt descriptor table.
//!
//! The order of the segments is what `syscall` and `sysret` ask for (SDM 3A, 5.8.8): kernel code,
//! kernel data, user data, user code. Three faults have stacks of their own, since they can come when
//! the kernel's stack is not to be trusted: NMI, double fault, machine check. The crate's table
//! wants one handler function a vector; ours come from one table of stubs, so the descriptors are
//! made here.

use super::entry;
use kernel_core::kernel::CPUS;
use spin::Once;
use x86_64::instructions::segmentation::{Segment, CS, DS, ES, FS, GS, SS};
use x86_64::instructions::tables::{lidt, load_tss};
use x86_64::structures::gdt::{Descriptor, GlobalDescriptorTable, SegmentSelector};
use x86_64::structures::tss::TaskStateSegment;
use x86_64::structures::DescriptorTablePointer;
use x86_64::{PrivilegeLevel, VirtAddr};

/// Kernel code.
pub const KERNEL_CODE: u16 = 0x08;
/// Kernel data.
pub const KERNEL_DATA: u16 = 0x10;
/// User data, with its privilege level.
pub const USER_DATA: u16 = 0x1b;
/// User code, with its privilege level.
pub const USER_CODE: u16 = 0x23;

/// Vectors with stacks of their own, by number of the stack (from 1).
const STACKS: [(usize, u64); 3] = [(2, 1), (8, 2), (18, 3)];
/// Vectors that `int n` may raise from user mode: breakpoint and overflow.
const OPEN: [usize; 2] = [3, 4];

extern "C" {
    static __stack_main: u8;
    static __stack_nmi: u8;
    static __stack_double_fault: u8;
    static __stack_machine_check: u8;
}

static TASKS: [Once<TaskStateSegment>; CPUS] = [const { Once::new() }; CPUS];
static SEGMENTS: [Once<(GlobalDescriptorTable, SegmentSelector)>; CPUS] = [const { Once::new() }; CPUS];
static GATES: Once<[[u64; 2]; 256]> = Once::new();

/// Tops of the boot processor's stacks, which are part of the image: main, NMI, double fault, machine check.
pub fn boot_stacks() -> [u64; 4] {
    [&raw const __stack_main, &raw const __stack_nmi, &raw const __stack_double_fault, &raw const __stack_machine_check]
        .map(|top| top as u64)
}

fn task(stacks: [u64; 4]) -> TaskStateSegment {
    let [main, nmi, double_fault, machine_check] = stacks.map(VirtAddr::new_truncate);
    let mut task = TaskStateSegment::new();
    task.privilege_stack_table = [main, VirtAddr::zero(), VirtAddr::zero()];
    let mut stacks = [VirtAddr::zero(); 7];
    [stacks[0], stacks[1], stacks[2]] = [nmi, double_fault, machine_check];
    task.interrupt_stack_table = stacks;
    task
}

/// One interrupt gate (SDM 3A, figure 6-8): present, interrupts off on the way in.
fn gate(handler: u64, stack: u64, open: bool) -> [u64; 2] {
    const PRESENT_INTERRUPT: u64 = 0x8e00;
    const LEVEL_3: u64 = 0x6000;
    let flags = PRESENT_INTERRUPT | if open { LEVEL_3 } else { 0 };
    let low = (handler & 0xffff) | u64::from(KERNEL_CODE) << 16 | (stack | flags) << 32 | (handler >> 16 & 0xffff) << 48;
    [low, handler >> 32]
}

/// Loads everything. Once, on each processor, with the tops of its stacks.
pub fn initialise(cpu: usize, stacks: [u64; 4]) {
    let (Some(place), Some(segments)) = (TASKS.get(cpu), SEGMENTS.get(cpu)) else { return };
    let task = place.call_once(|| task(stacks));
    let (table, selector) = segments.call_once(|| {
        let mut table = GlobalDescriptorTable::new();
        let code = table.append(Descriptor::kernel_code_segment());
        let data = table.append(Descriptor::kernel_data_segment());
        let user_data = table.append(Descriptor::user_data_segment());
        let user_code = table.append(Descriptor::user_code_segment());
        let task = table.append(Descriptor::tss_segment(task));
        debug_assert_eq!([code.0, data.0, user_data.0, user_code.0], [KERNEL_CODE, KERNEL_DATA, USER_DATA, USER_CODE]);
        (table, task)
    });
    let gates = GATES.call_once(|| {
        core::array::from_fn(|vector| {
            let stack = STACKS.iter().find(|(v, _)| *v == vector).map_or(0, |(_, stack)| *stack);
            gate(entry::stub(vector), stack, OPEN.contains(&vector))
        })
    });
    table.load();
    let null = SegmentSelector::NULL;
    // SAFETY: 1. the table just loaded is never changed and has these selectors; 2. data segments
    // are not used in 64-bit mode but for SS, which may hold a data segment of level 0; 3. FS and
    // GS bases are set after this, by `per_cpu::initialise`; 4. the gates lead to the stubs, which
    // follow the convention of their vectors.
    unsafe {
        CS::set_reg(SegmentSelector::new(KERNEL_CODE >> 3, PrivilegeLevel::Ring0));
        SS::set_reg(SegmentSelector::new(KERNEL_DATA >> 3, PrivilegeLevel::Ring0));
        DS::set_reg(null);
        ES::set_reg(null);
        FS::set_reg(null);
        GS::set_reg(null);
        load_tss(*selector);
        lidt(&DescriptorTablePointer { limit: 4095, base: VirtAddr::from_ptr(gates) });
    }
}
