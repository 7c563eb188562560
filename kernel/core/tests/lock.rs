//! The kernel's lock, in every order of its steps that memory allows (loom).

use kernel_core::lock::{Lock, Word};
use loom::sync::atomic::AtomicU32;
use loom::sync::Arc;
use loom::thread;
use std::sync::atomic::Ordering;

struct Shared(AtomicU32);

impl Word for Shared {
    fn zero() -> Self {
        Shared(AtomicU32::new(0))
    }
    fn load(&self, order: Ordering) -> u32 {
        self.0.load(order)
    }
    fn store(&self, value: u32, order: Ordering) {
        self.0.store(value, order);
    }
    fn take(&self, order: Ordering) -> u32 {
        self.0.fetch_add(1, order)
    }
    fn fence() {
        loom::sync::atomic::fence(Ordering::SeqCst);
    }
}

/// What the lock guards: loom panics where one reads while another writes, in whatever order it tries.
struct Guarded<const N: usize> {
    lock: Lock<Shared, N>,
    value: AtomicU32,
}

impl<const N: usize> Guarded<N> {
    fn new() -> Arc<Guarded<N>> {
        Arc::new(Guarded { lock: Lock::of_words(), value: AtomicU32::new(0) })
    }

    fn add(&self) {
        self.lock.exclusive(N, thread::yield_now);
        // In two steps, and relaxed: whoever comes between them, or sees an old value, loses a turn.
        let before = self.value.load(Ordering::Relaxed);
        self.value.store(before + 1, Ordering::Relaxed);
        self.lock.release_exclusive();
    }

    fn read(&self, cpu: usize) -> Option<u32> {
        if !self.lock.try_shared(cpu) {
            return None;
        }
        let value = self.value.load(Ordering::Relaxed);
        self.lock.release_shared(cpu);
        Some(value)
    }
}

#[test]
fn writers_exclude_each_other_and_none_is_lost() {
    loom::model(|| {
        let guarded = Guarded::<2>::new();
        let other = {
            let guarded = guarded.clone();
            thread::spawn(move || guarded.add())
        };
        guarded.add();
        other.join().unwrap();
        assert_eq!(guarded.read(0), Some(2));
    });
}

#[test]
fn a_reader_and_a_writer_exclude_each_other() {
    loom::model(|| {
        let guarded = Guarded::<2>::new();
        let writer = {
            let guarded = guarded.clone();
            thread::spawn(move || guarded.add())
        };
        // A reader that finds a writer becomes one.
        if guarded.read(0).is_none() {
            guarded.add();
        }
        writer.join().unwrap();
        assert!(guarded.read(0).is_some());
    });
}

#[test]
fn two_readers_and_a_writer_that_all_give_way_end() {
    loom::model(|| {
        let guarded = Guarded::<2>::new();
        let reader = {
            let guarded = guarded.clone();
            thread::spawn(move || guarded.read(1))
        };
        let writer = {
            let guarded = guarded.clone();
            thread::spawn(move || guarded.add())
        };
        guarded.read(0);
        reader.join().unwrap();
        writer.join().unwrap();
        assert_eq!(guarded.read(1), Some(1));
    });
}

#[test]
fn readers_do_not_keep_each_other_out() {
    loom::model(|| {
        let guarded = Guarded::<2>::new();
        let other = {
            let guarded = guarded.clone();
            thread::spawn(move || guarded.read(1))
        };
        assert_eq!(guarded.read(0), Some(0));
        assert_eq!(other.join().unwrap(), Some(0));
    });
}

#[test]
fn the_holder_knows_whether_someone_waits() {
    loom::model(|| {
        let guarded = Guarded::<2>::new();
        guarded.lock.exclusive(2, thread::yield_now);
        assert!(!guarded.lock.is_wanted());
        let other = {
            let guarded = guarded.clone();
            thread::spawn(move || guarded.add())
        };
        while !guarded.lock.is_wanted() {
            thread::yield_now();
        }
        assert_eq!(guarded.read(0), None, "a reader never goes before a writer");
        guarded.lock.release_exclusive();
        other.join().unwrap();
    });
}
