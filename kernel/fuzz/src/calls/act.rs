//! The operations: what one or a few bytes have somebody do.

use super::argument::{argument, need};
use super::stage::{policy, Stage};
use crate::handle::{choose, look_up, table};
use crate::input::Input;
use crate::number::{address, length, number, time};
use crate::trace::tell;
use abi::call::{Call, FIRST};
use abi::message::buffer;
use abi::{error, Handle, Kind};
use kernel_core::fault::{Fault, PAGE_FAULT};
use kernel_core::id::Id;
use kernel_core::machine::Machine;
use kernel_core::mm::fault::Access;
use kernel_core::object::{Process, ProcessState, Thread, ThreadState};
use kernel_core::world::CPU;
use kernel_core::Next;

/// An instruction would be fetched, a store made (SDM 3A, 4.7).
const FETCH: u64 = 0x14;
const STORE: u64 = 6;
const LOAD: u64 = 4;

impl<const FAULT: u8> Stage<FAULT> {
    /// One operation.
    pub fn act(&mut self, input: &mut Input<'_>) {
        let what = input.byte();
        tell(|| format!("operation {what:#x} at {}", self.w.now()));
        match what {
            0..=0xaf => self.call(input),
            0xb0..=0xbf => self.message(input),
            0xc0..=0xc7 => self.go_on(),
            0xc8..=0xcf => self.pass_time(input),
            0xd0..=0xd7 => self.touch(input),
            0xd8..=0xdb => self.w.kernel.machine.interrupt_every(u32::from(input.byte() & 3)),
            0xdc..=0xdf => {
                let _ = self.w.kernel.interrupt(CPU, input.below(40));
            }
            0xe0..=0xe7 => self.raw(input),
            0xe8..=0xeb => self.fault(input),
            0xec..=0xed => self.kill(input),
            0xee..=0xef => {
                let Some(thread) = self.actor(input) else { return };
                let process = self.process_of(thread);
                let _ = self.store(process, address(input), &policy());
            }
            _ => self.again(input),
        }
        self.w.check();
    }

    /// Those who could run now: their process has not ended.
    fn ready(&self) -> Vec<Id<Thread>> {
        let k = &self.w.kernel;
        let runs = |id: &Id<Thread>| {
            let t = &k.threads[*id];
            let alive = t.process.get().is_some_and(|p| k.processes[p].state.get() == ProcessState::Running);
            alive && matches!(t.state.get(), ThreadState::Ready | ThreadState::Running)
        };
        k.threads.iter_used().filter(runs).collect()
    }

    /// One of those, put on the processor.
    fn actor(&mut self, input: &mut Input<'_>) -> Option<Id<Thread>> {
        let thread = input.pick(&self.ready())?;
        self.w.force(thread);
        Some(thread)
    }

    fn process_of(&self, thread: Id<Thread>) -> Id<Process> {
        self.w.kernel.threads[thread].process.get().expect("it runs")
    }

    /// A call with arguments that could be meant.
    fn call(&mut self, input: &mut Input<'_>) {
        let call = drawn(input.below(Call::ALL.len() - ADDED.len()));
        let Some(thread) = self.actor(input) else { return };
        let table = table(&self.w.kernel, self.process_of(thread));
        let now = self.w.now();
        let mut args = [0; 6];
        for (index, arg) in args.iter_mut().enumerate().take(call.arguments().len()) {
            *arg = argument(input, &table, now, call, index);
        }
        self.issue(thread, call as u64, args);
    }

    /// A message call, whose IPC buffer is written first.
    fn message(&mut self, input: &mut Input<'_>) {
        const CALLS: [Call; 6] = [Call::Call, Call::Open, Call::ReplyRecv, Call::Reply, Call::Recv, Call::Send];
        let Some(thread) = self.actor(input) else { return };
        let call = CALLS[input.below(CALLS.len())];
        let table = table(&self.w.kernel, self.process_of(thread));
        let now = self.w.now();
        if self.w.kernel.threads[thread].buffer.get().0 != 0 {
            self.w.buffer_set(thread, buffer::DEADLINE, time(input, now));
            for i in 0..2 {
                let rights = u64::from(input.byte()) | u64::from(input.byte() & 1) << 8;
                let cap = choose(input, &table, None) & 0xffff_ffff | rights << 32;
                self.w.buffer_set(thread, buffer::SEND_CAPS + i * buffer::SEND_CAP_WORDS, cap);
                let (access, at, bytes) = (u64::from(input.byte() & 7), address(input), length(input));
                let from = if access & 4 == 0 { 0 } else { choose(input, &table, Some(Kind::Reply)) };
                for (n, word) in [at, bytes, access, from].into_iter().enumerate() {
                    self.w.buffer_set(thread, buffer::SEND_LEASES + i * buffer::SEND_LEASE_WORDS + n, word);
                }
            }
        }
        let mut args = [0; 6];
        for (index, arg) in args.iter_mut().enumerate().take(call.arguments().len()) {
            *arg = argument(input, &table, now, call, index);
        }
        self.issue(thread, call as u64, args);
    }

    /// Any number with any registers.
    fn raw(&mut self, input: &mut Input<'_>) {
        let Some(thread) = self.actor(input) else { return };
        let call = match input.byte() {
            known @ 0..=0xdf => FIRST + u64::from(known),
            0xe0..=0xef => input.short(),
            _ => number(input),
        };
        let args = std::array::from_fn(|_| number(input));
        self.issue(thread, call, args);
    }

    /// Enters the kernel with a number and arguments, and holds the answer against the table as it was.
    fn issue(&mut self, thread: Id<Thread>, number: u64, args: [u64; 6]) {
        let r = &self.w.kernel.threads[thread].registers;
        r.rax.set(number);
        for (place, value) in [&r.rdi, &r.rsi, &r.rdx, &r.r8, &r.r9, &r.r10].into_iter().zip(args) {
            place.set(value);
        }
        self.enter(thread);
    }

    fn enter(&mut self, thread: Id<Thread>) {
        let k = &self.w.kernel;
        let r = &k.threads[thread].registers;
        let call = Call::from_number(r.rax.get());
        let asked =
            call.and_then(need).filter(|_| r.rdi.get() < u64::from(Handle::FIRST_PSEUDO) || r.rdi.get() >> 32 != 0);
        let plan = asked
            .map_or(Ok(()), |(kind, rights)| look_up(&table(k, self.process_of(thread)), r.rdi.get(), kind, rights));
        let masked = k.threads[thread].upcall_masked.get();
        let args = [&r.rdi, &r.rsi, &r.rdx, &r.r8, &r.r9, &r.r10].map(|place| place.get());
        tell(|| format!("{thread:?} of {:?}: {} {args:x?}", self.process_of(thread), call.map_or("?", Call::name)));
        let _ = self.w.kernel.syscall(CPU);
        tell(|| format!("    {:x?}", self.w.outcome(thread)));
        let Err(refusal) = plan else { return };
        // A refusal is all that may come of it. (An upcall that was held back would have been let in by another call.)
        let t = &self.w.kernel.threads[thread];
        assert_eq!(t.upcall_masked.get(), masked);
        let answer = error::check(t.registers.rax.get());
        assert_eq!(answer, Err(refusal), "{}: without authority", call.map_or("", Call::name));
    }

    /// Somebody who has a call's number in rax enters the kernel as he is: who was woken to call again, or anyone.
    fn again(&mut self, input: &mut Input<'_>) {
        if let Some(thread) = self.actor(input) {
            self.enter(thread);
        }
    }

    /// Whoever the scheduler picks goes on.
    fn go_on(&mut self) {
        if let Next::Run(thread) = self.w.kernel.leave(CPU) {
            if self.w.kernel.threads[thread].registers.rax.get() >= FIRST {
                self.enter(thread);
            }
        }
    }

    /// Time passes, and the timer tells of it: as it was set, or at any time.
    fn pass_time(&mut self, input: &mut Input<'_>) {
        let now = self.w.now();
        let to = match input.byte() {
            0..=0x7f => self.w.kernel.machine.timer().filter(|at| *at < now + (1 << 40)).unwrap_or(now),
            some @ 0x80..=0xef => now + u64::from(some & 0x3f) * 1000,
            _ => now + (1 << 33),
        };
        let _ = self.w.time(to.max(now));
    }

    /// The running thread loads, stores or fetches.
    fn touch(&mut self, input: &mut Input<'_>) {
        let Some(thread) = self.actor(input) else { return };
        let process = self.process_of(thread);
        let (at, what) = (address(input), input.byte());
        match what & 3 {
            0 => drop(self.reach(process, at, LOAD)),
            1 => drop(self.reach(process, at, FETCH)),
            _ => drop(self.store(process, at, &[what])),
        }
    }

    /// Has the running thread, of this process, come to an address as the processor would: by a fault where the tables don't
    /// let it through. `None`: it does not get there.
    fn reach(&mut self, process: Id<Process>, at: u64, code: u64) -> Option<kernel_core::address::PhysAddr> {
        let page = kernel_core::address::VirtAddr::try_user(at)?.page();
        for _ in 0..2 {
            let k = &mut self.w.kernel;
            let space = k.processes[process].space.get()?;
            let there = k.machine.translate(k.spaces[space].root.get(), page);
            match there.filter(|t| Access::from_code(code).allowed(t.protection)) {
                Some(there) if there.device => return None,
                Some(there) => {
                    let size = if there.large { abi::memory::LARGE_PAGE_SIZE } else { abi::memory::PAGE_SIZE };
                    return Some(kernel_core::address::PhysAddr(there.address.0 + at % size));
                }
                None => drop(k.fault(CPU, Fault { vector: PAGE_FAULT, code, address: at })),
            }
            // It may wait, be gone, or be elsewhere now.
            let runs =
                self.w.kernel.current(CPU).is_some_and(|t| self.w.kernel.threads[t].process.get() == Some(process));
            if !runs || self.w.kernel.processes[process].state.get() != ProcessState::Running {
                return None;
            }
        }
        None
    }

    /// The running thread stores bytes, within a page.
    fn store(&mut self, process: Id<Process>, at: u64, bytes: &[u8]) -> Option<()> {
        let physical = self.reach(process, at, STORE)?;
        let frame = physical.frame()?;
        let offset = (physical.0 % 4096) as usize;
        let bytes = &bytes[..bytes.len().min(4096 - offset)];
        self.w.kernel.machine.write_frame(frame, offset, bytes);
        Some(())
    }

    /// The running thread faults in some other way.
    fn fault(&mut self, input: &mut Input<'_>) {
        if self.actor(input).is_some() {
            let fault = Fault { vector: u64::from(input.byte() & 31), code: number(input), address: address(input) };
            let _ = self.w.kernel.fault(CPU, fault);
        }
    }

    /// A process dies, but not the first one: what is left could do little.
    fn kill(&mut self, input: &mut Input<'_>) {
        let processes: Vec<_> = self.w.kernel.processes.iter_used().skip(1).collect();
        if let Some(process) = input.pick(&processes) {
            self.w.kernel.process_end(process, ProcessState::Killed, 9);
            let _ = self.w.kernel.leave(CPU);
        }
    }
}

/// Calls that came after the kept inputs were packed: drawing them too would make other inputs of all of these. They take their
/// places when the corpus is made anew.
const ADDED: [Call; 1] = [Call::ThreadAffinity];

fn drawn(index: usize) -> Call {
    *Call::ALL.iter().filter(|call| !ADDED.contains(call)).nth(index).expect("an index below their number")
}
