//! What each way into the kernel does, in Rust: call the core, follow what it
//! says.

use super::layout::{ERROR_VECTOR, INTERRUPTS, INTERRUPT_FIRST, KICK_VECTOR, TIMER_VECTOR};
use super::machine::X86;
use super::{apic, clock, fpu, idle, per_cpu, smp, stop, window};
use core::cell::UnsafeCell;
use core::mem::MaybeUninit;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering::Acquire, Ordering::Relaxed, Ordering::Release};
use kernel_core::fault::Fault;
use kernel_core::ipc::fast::Other;
use kernel_core::object::{Cpu, Registers, Thread};
use kernel_core::{Kernel, Next};
use spin::Once;
use x86_64::registers::control::Cr2;

struct Global(UnsafeCell<MaybeUninit<Kernel<X86>>>);
// SAFETY: entries do not nest. Where more than one processor runs, each holds the lock: its exclusive side for `&mut`.
unsafe impl Sync for Global {}

static KERNEL: Global = Global(UnsafeCell::new(MaybeUninit::uninit()));
static READY: AtomicBool = AtomicBool::new(false);
/// Whether [`run`] was called: other processors wait for it.
static RUNNING: AtomicBool = AtomicBool::new(false);
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

/// The kernel, for an entry, with the lock taken, which is given back on the way out (`entry`). `calls`: with a call of the
/// thread that runs here.
///
/// # Safety
/// Called from an entry alone, once, after `keep`; the reference ends with the entry, or before the lock is given back.
#[inline(always)]
unsafe fn entered(calls: bool) -> &'static mut Kernel<X86> {
    let block = per_cpu::this();
    per_cpu::count(&block.entries);
    if block.among_others.load(Relaxed) {
        smp::lock(calls);
    }
    // SAFETY: the caller's duty; nobody else has the lock, and entries do not nest.
    unsafe { (*KERNEL.0.get()).assume_init_mut() }
}

/// The kernel, for the short ways of the only processor.
///
/// # Safety
/// Called from an entry alone, where there are no others (`among_others`), with which the reference ends.
#[inline(always)]
unsafe fn alone() -> &'static Kernel<X86> {
    // SAFETY: the caller's duty.
    unsafe { (*KERNEL.0.get()).assume_init_ref() }
}

/// `syscall` was executed; its registers are saved.
pub extern "C" fn syscall() -> *const Registers {
    // SAFETY: an entry.
    let kernel = unsafe { entered(true) };
    window::open(None);
    let next = kernel.syscall(per_cpu::id());
    follow(kernel, next)
}

/// `call` was executed with words alone: the short way, or null where that is not to be had. Its registers but for rax, rdx
/// and the words are saved. The entry code passes the thread whose registers these are, and the processor's `Cpu`.
pub extern "C" fn call(session: u64, tag: u64, caller: &'static Thread, cpu: &'static Cpu) -> *const Registers {
    window::open(Some(256));
    // SAFETY: an entry.
    registers_of(unsafe { alone() }.call_fast::<false>(cpu, caller, session, tag))
}

/// `call` where there are other processors: on the shared side of the lock, which the way out gives back.
pub extern "C" fn call_shared(session: u64, tag: u64, caller: &'static Thread, cpu: &'static Cpu) -> *const Registers {
    window::open(Some(256));
    shared(|kernel| kernel.call_fast::<true>(cpu, caller, session, tag))
}

/// The same for `reply_recv`.
pub extern "C" fn reply_recv_shared(
    endpoint: u64,
    tag: u64,
    server: &'static Thread,
    cpu: &'static Cpu,
    reply: u64,
) -> *const Registers {
    window::open(Some(256 | 2));
    shared(|kernel| kernel.reply_receive_fast::<true>(cpu, server, endpoint, tag, reply))
}

#[inline(always)]
fn shared(way: impl FnOnce(&'static Kernel<X86>) -> Option<Other>) -> *const Registers {
    let cpu = smp::try_shared();
    // SAFETY: an entry, with the shared side of the lock.
    let to = cpu.and_then(|_| way(unsafe { &*(*KERNEL.0.get()).as_ptr() }));
    if let (Some(cpu), None) = (cpu, to) {
        smp::LOCK.release_shared(cpu);
    }
    registers_of(to)
}

/// Any call: the registers of its thread, which has its answer already, or null where it is not one of those.
pub extern "C" fn brief(caller: &'static Thread, cpu: &'static Cpu, number: u64) -> *const Registers {
    // SAFETY: an entry.
    let done = unsafe { alone() }.call_brief(cpu, caller, number);
    done.map_or(core::ptr::null(), |()| &raw const caller.registers)
}

/// The same for `reply_recv`, whose reply object comes in r8.
pub extern "C" fn reply_recv(
    endpoint: u64,
    tag: u64,
    server: &'static Thread,
    cpu: &'static Cpu,
    reply: u64,
) -> *const Registers {
    window::open(Some(256 | 2));
    // SAFETY: an entry.
    registers_of(unsafe { alone() }.reply_receive_fast::<false>(cpu, server, endpoint, tag, reply))
}

/// The registers of a thread that the short way leads to.
#[inline(always)]
fn registers_of(to: Option<Other>) -> *const Registers {
    to.map_or(core::ptr::null(), |(_, thread)| window::close(&raw const thread.registers))
}

/// The thread to go on with would go outside the user half.
pub extern "C" fn astray() -> *const Registers {
    // SAFETY: on the way out of an entry, whose reference has ended, and which has given the lock back.
    let kernel = unsafe { entered(false) };
    let next = kernel.fault(per_cpu::id(), Fault { vector: 13, code: 0, address: 0 });
    follow(kernel, next)
}

/// A fault or an interrupt in user mode; its registers are saved.
pub extern "C" fn from_user(vector: u64, code: u64) -> *const Registers {
    if vector == u64::from(KICK_VECTOR) {
        apic::end_of_interrupt();
        if !smp::answer() {
            // The thread goes on: its registers are where they were saved to.
            return per_cpu::this().registers.load(Relaxed) as *const Registers;
        }
    }
    // SAFETY: an entry.
    let kernel = unsafe { entered(false) };
    window::open(Some(vector));
    let next = if vector < 32 {
        // No other fault can have come meanwhile.
        let address = if vector == 14 { Cr2::read_raw() } else { 0 };
        kernel.fault(per_cpu::id(), Fault { vector, code, address })
    } else {
        interrupt(kernel, vector as u8)
    };
    follow(kernel, next)
}

/// What an interrupt leads to. Acknowledged here, after a level-triggered line was masked by the core.
fn interrupt(kernel: &mut Kernel<X86>, vector: u8) -> Next {
    let block = per_cpu::this();
    let cpu = per_cpu::id();
    match vector {
        TIMER_VECTOR => {
            block.deadline_ns.store(0, Relaxed);
            apic::end_of_interrupt();
            kernel.timer(cpu)
        }
        ERROR_VECTOR => {
            let status = apic::error();
            apic::end_of_interrupt();
            log::warn!("the local APIC reports error {status:#x}");
            kernel.leave(cpu)
        }
        _ => match usize::from(vector).checked_sub(usize::from(INTERRUPT_FIRST)) {
            Some(id) if id < INTERRUPTS => {
                per_cpu::count(&block.interrupts);
                let next = kernel.interrupt(cpu, id);
                apic::end_of_interrupt();
                next
            }
            // Another processor's, answered already; or spurious: of the local APIC, which wants no acknowledgement, or of the old controllers.
            _ => kernel.leave(cpu),
        },
    }
}

/// Answers the registers of the thread to run, after waiting while there is none. Another processor that wants them to be
/// final draws this one in, which works only once it is back in user mode: so they may be read after the lock is given back.
#[inline(always)]
fn follow(kernel: &'static mut Kernel<X86>, next: Next) -> *const Registers {
    window::close(match next {
        Next::Run(id) if !smp::many() || kernel.threads.at(id).may_run_on(per_cpu::id()) => {
            &raw const kernel.threads.at(id).registers
        }
        _ => follow_far(next),
    })
}

/// Nothing to run: waits for an interrupt, without the lock. Or others are to go first: then only what is pending is taken.
/// Or a thread came here that may not stay.
#[inline(never)]
fn follow_far(mut next: Next) -> *const Registers {
    let block = per_cpu::this();
    let cpu = per_cpu::id();
    loop {
        // SAFETY: the lock is held, where there is one; each turn of this loop has a reference of its own, and the one of
        // the entry has ended with the call of this function.
        let kernel = unsafe { (*KERNEL.0.get()).assume_init_mut() };
        if let Next::Run(id) = next {
            if kernel.threads.at(id).may_run_on(cpu) {
                return &raw const kernel.threads.at(id).registers;
            }
            next = kernel.reschedule(cpu);
            continue;
        }
        if let Some(watch) = WATCH.get().filter(|_| next == Next::Idle) {
            watch(kernel);
        }
        if smp::many() {
            // Whoever ran here last may run elsewhere meanwhile.
            fpu::put_away();
            smp::unlock();
        }
        let start = clock::now_ns();
        window::close(core::ptr::null());
        let vector = if next == Next::Idle { idle::wait() } else { idle::take().unwrap_or(KICK_VECTOR) };
        if next == Next::Idle {
            let waited = clock::now_ns().wrapping_sub(start);
            block.idle_ns.store(block.idle_ns.load(Relaxed).wrapping_add(waited), Relaxed);
        }
        window::open(Some(u64::from(vector)));
        // SAFETY: an entry, by the interrupt; the reference from before is not used any more.
        next = interrupt(unsafe { entered(false) }, vector);
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
    // One at a time: the wait goes on with interrupts off.
    pushed.rflags &= !INTERRUPTS_ON;
    if vector == u64::from(KICK_VECTOR) {
        apic::end_of_interrupt();
        if !smp::answer() {
            return;
        }
    }
    per_cpu::this().idle_vector.store(vector as u32, Relaxed);
}

/// An NMI, a double fault or a machine check, whatever ran.
pub extern "C" fn fatal(vector: u64, code: u64, pushed: &mut Pushed) -> ! {
    if vector == 2 && smp::is_stopping() {
        stop::halt();
    }
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

/// Starts running threads, on all processors. `watch` is called whenever there is nothing to run on one. Never comes back.
pub fn run(watch: Watch) -> ! {
    WATCH.call_once(|| watch);
    RUNNING.store(true, Release);
    (1..smp::count()).for_each(smp::kick);
    begin()
}

/// A processor after the first is ready: it waits for [`run`], then runs threads.
pub fn join() -> ! {
    while !RUNNING.load(Acquire) {
        idle::wait();
    }
    begin()
}

fn begin() -> ! {
    // SAFETY: the one call on each processor at the end of its start, after `keep`; not nested in an entry.
    let kernel = unsafe { entered(false) };
    per_cpu::this().cpu.store(&raw const *kernel.here() as u64, Relaxed);
    let next = kernel.reschedule(per_cpu::id());
    let registers = follow(kernel, next);
    // The first one counts.
    let _ = FIRST_USER.compare_exchange(0, clock::tsc(), Relaxed, Relaxed);
    // SAFETY: the start's stack holds nothing that is used again.
    unsafe { super::entry::leave(registers) }
}
