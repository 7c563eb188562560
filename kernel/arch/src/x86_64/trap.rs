//! What each way into the kernel does, in Rust: call the core, follow what it
//! says.

use super::layout::{ERROR_VECTOR, INTERRUPTS, INTERRUPT_FIRST, TIMER_VECTOR};
use super::machine::X86;
use super::per_cpu::{self, BOOT_CPU};
use super::{apic, clock, idle};
use core::cell::UnsafeCell;
use core::mem::MaybeUninit;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use kernel_core::fault::Fault;
use kernel_core::ipc::fast::Other;
use kernel_core::object::{Cpu, Registers, Thread};
use kernel_core::{Kernel, Next};
use spin::Once;
use x86_64::registers::control::Cr2;

struct Global(UnsafeCell<MaybeUninit<Kernel<X86>>>);
// SAFETY: one processor runs, and entries do not nest.
unsafe impl Sync for Global {}

static KERNEL: Global = Global(UnsafeCell::new(MaybeUninit::uninit()));
static READY: AtomicBool = AtomicBool::new(false);
static WATCH: Once<Watch> = Once::new();
/// The time-stamp counter when a thread first ran.
static FIRST_USER: AtomicU64 = AtomicU64::new(0);

/// Looks at the kernel before each wait.
pub type Watch = fn(&Kernel<X86>);

/// Gives the kernel to the machine layer, for good.
pub fn keep(kernel: Kernel<X86>) {
    assert!(!READY.swap(true, Relaxed), "invariant: one kernel");
    // SAFETY: nothing else looks at KERNEL before READY, which was false until now, and one processor runs.
    unsafe { (*KERNEL.0.get()).write(kernel) };
}

/// The time-stamp counter when the first user instruction ran.
pub fn first_user_tsc() -> u64 {
    FIRST_USER.load(Relaxed)
}

/// The kernel, for an entry.
///
/// # Safety
/// Called from an entry alone, once, after `keep`; the reference ends with the entry.
unsafe fn entered() -> &'static mut Kernel<X86> {
    per_cpu::count(&per_cpu::this().entries);
    // SAFETY: the caller's duty; entries do not nest.
    unsafe { (*KERNEL.0.get()).assume_init_mut() }
}

/// `syscall` was executed; its registers are saved.
pub extern "C" fn syscall() -> *const Registers {
    // SAFETY: an entry.
    let kernel = unsafe { entered() };
    let next = kernel.syscall(BOOT_CPU);
    follow(kernel, next)
}

/// `call` was executed with words alone: the short way, or null where that is not to be had. Its registers but for rax, rdx
/// and the words are saved. The entry code passes the thread whose registers these are, and the processor's `Cpu`.
pub extern "C" fn call(session: u64, tag: u64, caller: &'static Thread, cpu: &'static Cpu) -> *const Registers {
    // SAFETY: an entry.
    let kernel = unsafe { entered() };
    registers_of(kernel.call_fast(cpu, caller, session, tag))
}

/// The same for `reply_recv`, whose reply object comes in r8.
pub extern "C" fn reply_recv(
    endpoint: u64,
    tag: u64,
    server: &'static Thread,
    cpu: &'static Cpu,
    reply: u64,
) -> *const Registers {
    // SAFETY: an entry.
    let kernel = unsafe { entered() };
    registers_of(kernel.reply_receive_fast(cpu, server, endpoint, tag, reply))
}

/// The registers of a thread that the short way leads to.
#[inline(always)]
fn registers_of(to: Option<Other>) -> *const Registers {
    to.map_or(core::ptr::null(), |(_, thread)| &raw const thread.registers)
}

/// The thread to go on with would go outside the user half.
pub extern "C" fn astray() -> *const Registers {
    // SAFETY: on the way out of an entry, whose reference has ended.
    let kernel = unsafe { entered() };
    let next = kernel.fault(BOOT_CPU, Fault { vector: 13, code: 0, address: 0 });
    follow(kernel, next)
}

/// A fault or an interrupt in user mode; its registers are saved.
pub extern "C" fn from_user(vector: u64, code: u64) -> *const Registers {
    // SAFETY: an entry.
    let kernel = unsafe { entered() };
    let next = if vector < 32 {
        let address = if vector == 14 { Cr2::read_raw() } else { 0 };
        kernel.fault(BOOT_CPU, Fault { vector, code, address })
    } else {
        interrupt(kernel, vector as u8)
    };
    follow(kernel, next)
}

/// What an interrupt leads to. Acknowledged here, after a level-triggered line was masked by the core.
fn interrupt(kernel: &mut Kernel<X86>, vector: u8) -> Next {
    let block = per_cpu::this();
    match vector {
        TIMER_VECTOR => {
            block.deadline_ns.store(0, Relaxed);
            apic::end_of_interrupt();
            kernel.timer(BOOT_CPU)
        }
        ERROR_VECTOR => {
            let status = apic::error();
            apic::end_of_interrupt();
            log::warn!("the local APIC reports error {status:#x}");
            kernel.leave(BOOT_CPU)
        }
        _ => match usize::from(vector).checked_sub(usize::from(INTERRUPT_FIRST)) {
            Some(id) if id < INTERRUPTS => {
                per_cpu::count(&block.interrupts);
                let next = kernel.interrupt(BOOT_CPU, id);
                apic::end_of_interrupt();
                next
            }
            // Spurious: of the local APIC, which wants no acknowledgement, or of the old controllers.
            _ => kernel.leave(BOOT_CPU),
        },
    }
}

/// Answers the registers of the thread to run, after waiting while there is none.
#[inline(always)]
fn follow(kernel: &mut Kernel<X86>, next: Next) -> *const Registers {
    match next {
        Next::Run(id) => &raw const kernel.threads.at(id).registers,
        Next::Idle => wait(kernel),
    }
}

#[inline(never)]
fn wait(kernel: &mut Kernel<X86>) -> *const Registers {
    let block = per_cpu::this();
    loop {
        if let Some(watch) = WATCH.get() {
            watch(kernel);
        }
        let start = clock::now_ns();
        let vector = idle::wait();
        let waited = clock::now_ns().wrapping_sub(start);
        block.idle_ns.store(block.idle_ns.load(Relaxed).wrapping_add(waited), Relaxed);
        per_cpu::count(&block.entries);
        if let Next::Run(id) = interrupt(kernel, vector) {
            return &raw const kernel.threads.at(id).registers;
        }
    }
}

/// The frame that the processor pushes.
#[repr(C)]
pub struct Pushed {
    rip: u64,
    cs: u64,
    rflags: u64,
    rsp: u64,
    ss: u64,
}

/// A trap from kernel mode: an interrupt that ends the idle wait, or a defect.
pub extern "C" fn from_kernel(vector: u64, code: u64, pushed: &mut Pushed) {
    if vector < 32 {
        defect(vector, code, pushed);
    }
    const INTERRUPTS_ON: u64 = 1 << 9;
    per_cpu::this().idle_vector.store(vector as u32, Relaxed);
    // One at a time: the wait goes on with interrupts off.
    pushed.rflags &= !INTERRUPTS_ON;
}

/// An NMI, a double fault or a machine check, whatever ran.
pub extern "C" fn fatal(vector: u64, code: u64, pushed: &mut Pushed) -> ! {
    defect(vector, code, pushed)
}

fn defect(vector: u64, code: u64, pushed: &Pushed) -> ! {
    let name = match vector {
        0 => "divide error",
        1 => "debug trap",
        2 => "NMI",
        3 => "breakpoint",
        6 => "invalid opcode",
        8 => "double fault",
        13 => "general protection fault",
        14 => "page fault",
        18 => "machine check",
        _ => "trap",
    };
    let address = Cr2::read_raw();
    panic!(
        "{name} in the kernel: vector {vector}, code {code:#x}, address {address:#x}, rip {:#x}, rsp {:#x}, cs {:#x}, ss {:#x}, flags {:#x}",
        pushed.rip, pushed.rsp, pushed.cs, pushed.ss, pushed.rflags
    );
}

/// Starts running threads. `watch` is called whenever there is nothing to run. Never comes back.
pub fn run(watch: Watch) -> ! {
    WATCH.call_once(|| watch);
    // SAFETY: the one call at the end of boot, after `keep`; not nested in an entry.
    let kernel = unsafe { entered() };
    per_cpu::this().cpu.store(&raw const *kernel.here() as u64, Relaxed);
    let next = kernel.reschedule(BOOT_CPU);
    let registers = follow(kernel, next);
    FIRST_USER.store(clock::tsc(), Relaxed);
    // SAFETY: boot's stack holds nothing that is used again.
    unsafe { super::entry::leave(registers) }
}
