//! Futexes in random orders, against a small model.
//!
//! The model has for each word the list of those who wait there, by urgency and arrival. After every operation exactly
//! the threads that the model has waiting wait: no wake-up is lost, and none comes from nowhere.

use crate::random::Random;
use abi::call::Call;
use abi::{Error, Handle};
use kernel_core::id::Id;
use kernel_core::object::{Process, Thread, ThreadState};
use kernel_core::world::{Outcome, World};

const QUOTA: u64 = Handle::SELF_QUOTA.0 as u64;
const SPACE: u64 = Handle::SELF_SPACE.0 as u64;
/// Words in work: some in one object, some in another.
const WORDS: usize = 4;

struct Waiter {
    thread: Id<Thread>,
    priority: u8,
    /// Arrival numbers count for each word of one object together, so one count for all keeps every order.
    arrival: u64,
    deadline: u64,
}

/// A process, its threads and the two addresses of its words.
type Owner = (Id<Process>, Vec<Id<Thread>>, [u64; 2]);

struct Run {
    w: World,
    random: Random,
    /// Each process with its threads, and where it has the two objects mapped.
    processes: Vec<Owner>,
    values: [u32; WORDS],
    waiting: [Vec<Waiter>; WORDS],
    arrivals: u64,
    woken: u64,
}

impl Run {
    fn new(seed: u64) -> Run {
        let mut w = World::new();
        let first = w.process();
        let maker = w.thread(first, 10);
        let memories = [0, 1].map(|_| w.ok(maker, Call::MemoryCreate, &[QUOTA, 1, 0])[0]);
        let mut processes = Vec::new();
        for n in 0..4 {
            let process = if n == 0 { first } else { w.process() };
            let mut threads: Vec<_> = (0..5).map(|n| w.thread(process, 9 + n % 3)).collect();
            if n == 0 {
                threads.push(maker);
            }
            let at = memories.map(|memory| {
                let handle = if n == 0 { memory } else { w.give(first, memory, process) };
                w.ok(threads[0], Call::SpaceMap, &[SPACE, handle, 0, 0, 4096, 3])[0]
            });
            processes.push((process, threads, at));
        }
        let random = Random::new(seed);
        Run { w, random, processes, values: [0; WORDS], waiting: Default::default(), arrivals: 0, woken: 0 }
    }

    fn address(&self, p: usize, word: usize) -> u64 {
        self.processes[p].2[word & 1] + 4 * word as u64
    }

    /// A thread that waits for nothing.
    fn free_thread(&mut self) -> Option<(usize, Id<Thread>)> {
        let p = self.random.below(self.processes.len());
        let threads = &self.processes[p].1;
        let thread = threads[self.random.below(threads.len())];
        let waits = self.waiting.iter().flatten().any(|waiter| waiter.thread == thread);
        (!waits).then_some((p, thread))
    }

    fn sort(&mut self) {
        for list in &mut self.waiting {
            list.sort_by_key(|waiter| (!waiter.priority, waiter.arrival));
        }
    }

    fn arrival(&mut self) -> u64 {
        self.arrivals += 1;
        self.arrivals
    }

    fn wait(&mut self) {
        let Some((p, thread)) = self.free_thread() else { return };
        let word = self.random.below(WORDS);
        let expected = self.values[word] + u32::from(self.random.below(5) == 0);
        let deadline = if self.random.below(4) == 0 { self.w.now() + 1_000 } else { 0 };
        let args = [self.address(p, word), u64::from(expected), deadline];
        let got = self.w.call(thread, Call::FutexWait, &args);
        if expected != self.values[word] {
            return assert_eq!(got, Outcome::Failed(Error::WouldBlock));
        }
        assert_eq!(got, Outcome::Waits);
        let (arrival, priority) = (self.arrival(), self.w.kernel.threads[thread].priority.get());
        self.waiting[word].push(Waiter { thread, priority, arrival, deadline });
        self.sort();
    }

    fn take(&mut self, word: usize, count: usize) -> Vec<Waiter> {
        let count = count.min(self.waiting[word].len());
        self.waiting[word].drain(..count).collect()
    }

    fn are_woken(&mut self, waiters: &[Waiter]) {
        self.woken += waiters.len() as u64;
        for waiter in waiters {
            assert!(matches!(self.w.outcome(waiter.thread), Outcome::Done(_)), "{:?}", waiter.thread);
        }
    }

    /// Makes a call that may be made again after interrupts.
    fn work(&mut self, thread: Id<Thread>, call: Call, args: &[u64]) -> Outcome {
        self.w.kernel.machine.interrupt_every(self.random.below(3) as u32);
        let mut got = self.w.call(thread, call, args);
        while self.w.kernel.threads[thread].registers.rax.get() >= abi::call::FIRST {
            got = self.w.again(thread);
        }
        self.w.kernel.machine.interrupt_every(0);
        got
    }

    fn wake(&mut self) {
        let Some((p, thread)) = self.free_thread() else { return };
        let (word, count) = (self.random.below(WORDS), self.random.pick(&[0, 1, 1, 1, 2, 20]));
        let got = self.work(thread, Call::FutexWake, &[self.address(p, word), count as u64]);
        let woken = self.take(word, count);
        let Outcome::Done([told, ..]) = got else { panic!("{got:?}") };
        assert_eq!(told, woken.len() as u64);
        self.are_woken(&woken);
    }

    fn requeue(&mut self) {
        let Some((p, thread)) = self.free_thread() else { return };
        let (word, to) = (self.random.below(WORDS), self.random.below(WORDS));
        let (count, moves) = (self.random.below(3), self.random.pick(&[0, 1, 2, 30]));
        let expected = self.values[word] + u32::from(self.random.below(5) == 0);
        let (from_at, to_at) = (self.address(p, word), self.address(p, to));
        let args = [from_at, u64::from(expected), count as u64, to_at, moves as u64];
        let got = self.work(thread, Call::FutexRequeue, &args);
        if expected != self.values[word] {
            return assert_eq!(got, Outcome::Failed(Error::WouldBlock));
        }
        if word == to {
            return assert_eq!(got, Outcome::Failed(Error::BadArgument));
        }
        let woken = self.take(word, count);
        let moved = self.take(word, moves);
        let Outcome::Done([told, told_moved, ..]) = got else { panic!("{got:?}") };
        assert_eq!((told, told_moved), (woken.len() as u64, moved.len() as u64));
        self.are_woken(&woken);
        for mut waiter in moved {
            waiter.arrival = self.arrival();
            self.waiting[to].push(waiter);
        }
        self.sort();
    }

    fn store(&mut self) {
        let (word, p) = (self.random.below(WORDS), self.random.below(self.processes.len()));
        self.values[word] = self.values[word].wrapping_add(1) & 7;
        let bytes = self.values[word].to_le_bytes();
        self.w.kernel.user_write(self.processes[p].0, self.address(p, word), &bytes).unwrap();
    }

    fn any_waiter(&mut self) -> Option<(usize, usize)> {
        let all: Vec<_> = (0..WORDS).flat_map(|word| (0..self.waiting[word].len()).map(move |n| (word, n))).collect();
        (!all.is_empty()).then(|| self.random.pick(&all))
    }

    fn cancel(&mut self) {
        let Some((word, n)) = self.any_waiter() else { return };
        let waiter = self.waiting[word].remove(n);
        self.w.kernel.thread_cancel_wait(waiter.thread).unwrap();
        assert_eq!(self.w.outcome(waiter.thread), Outcome::Failed(Error::Cancelled));
    }

    fn reprioritise(&mut self) {
        let Some((word, n)) = self.any_waiter() else { return };
        let priority = 5 + self.random.below(10) as u8;
        self.waiting[word][n].priority = priority;
        self.w.kernel.thread_set_priority(self.waiting[word][n].thread, priority);
        self.sort();
    }

    fn end_thread(&mut self) {
        let p = self.random.below(self.processes.len());
        let threads = &mut self.processes[p].1;
        if threads.len() > 1 {
            let thread = threads.remove(self.random.below(threads.len()));
            self.waiting.iter_mut().for_each(|list| list.retain(|waiter| waiter.thread != thread));
            self.w.kernel.thread_end(thread);
        }
    }

    fn kill(&mut self) {
        if self.processes.len() > 1 {
            let (process, threads, _) = self.processes.remove(self.random.below(self.processes.len()));
            self.waiting.iter_mut().for_each(|list| list.retain(|waiter| !threads.contains(&waiter.thread)));
            self.w.kill(process);
        }
    }

    fn time(&mut self) {
        let now = self.w.now() + 600;
        self.w.time(now);
        for word in 0..WORDS {
            let list = core::mem::take(&mut self.waiting[word]);
            // (A neighbouring key can make one some nanoseconds late.)
            let is_due = |w: &Waiter| w.deadline != 0 && w.deadline <= now;
            for waiter in list {
                let state = self.w.kernel.threads[waiter.thread].state.get();
                if is_due(&waiter) && state != ThreadState::FutexWaiting {
                    assert_eq!(self.w.outcome(waiter.thread), Outcome::Failed(Error::TimedOut));
                } else {
                    assert!(!is_due(&waiter) || waiter.deadline + 50 > now);
                    self.waiting[word].push(waiter);
                }
            }
        }
    }

    fn check(&self) {
        self.w.check();
        for thread in self.processes.iter().flat_map(|(_, threads, _)| threads) {
            let waits = self.waiting.iter().flatten().any(|waiter| waiter.thread == *thread);
            let state = self.w.kernel.threads[*thread].state.get();
            assert_eq!(waits, state == ThreadState::FutexWaiting, "{thread:?} {state:?}");
        }
    }
}

#[test]
fn futexes_do_what_the_model_says() {
    let mut woken = 0;
    for seed in 0..60 {
        println!("seed {seed}");
        let mut run = Run::new(seed);
        for _ in 0..600 {
            match run.random.below(100) {
                0..50 => run.wait(),
                50..65 => run.wake(),
                65..77 => run.requeue(),
                77..85 => run.store(),
                85..89 => run.cancel(),
                89..94 => run.reprioritise(),
                94..98 => run.time(),
                98 => run.end_thread(),
                _ if run.random.below(5) == 0 => run.kill(),
                _ => {}
            }
            run.check();
        }
        woken += run.woken;
        run.w.end();
    }
    assert!(woken > 2_000, "{woken} were woken");
}
