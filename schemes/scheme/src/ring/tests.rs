//! The two ends against a queue, against each other in two threads, and
//! against one that lies.

use super::{Consumer, Producer, Shape, Shared, CONSUMER_WAITS, TAKEN, WRITTEN};
use abi::{Error, Result};
use proptest::prelude::*;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::sync::Arc;

/// Memory of words; bytes are copied word by word, as two processes would see them.
#[derive(Clone)]
struct Words(Arc<Vec<AtomicU32>>);

impl Words {
    fn new(shape: Shape) -> Words {
        let words = shape.bytes().div_ceil(4) as usize;
        Words(Arc::new((0..words).map(|_| AtomicU32::new(0)).collect()))
    }
}

impl Shared for Words {
    fn word(&self, offset: usize) -> Result<&AtomicU32> {
        self.0.get(offset / 4).filter(|_| offset.is_multiple_of(4)).ok_or(Error::BadArgument)
    }
    fn read(&self, offset: usize, out: &mut [u8]) -> Result<()> {
        for (i, byte) in out.iter_mut().enumerate() {
            let at = offset + i;
            *byte = self.word(at & !3)?.load(SeqCst).to_le_bytes()[at & 3];
        }
        Ok(())
    }
    fn write(&mut self, offset: usize, data: &[u8]) -> Result<()> {
        for (i, byte) in data.iter().enumerate() {
            let at = offset + i;
            let mut bytes = self.word(at & !3)?.load(SeqCst).to_le_bytes();
            bytes[at & 3] = *byte;
            self.word(at & !3)?.store(u32::from_le_bytes(bytes), SeqCst);
        }
        Ok(())
    }
}

fn ends(capacity: u32, entry: u32) -> (Words, Producer<Words>, Consumer<Words>) {
    let shape = Shape::new(capacity, entry).unwrap();
    let words = Words::new(shape);
    let (producer, consumer) =
        (Producer::new(words.clone(), shape).unwrap(), Consumer::new(words.clone(), shape).unwrap());
    (words, producer, consumer)
}

proptest! {
    #[test]
    fn prop_a_ring_is_a_queue_whose_ends_can_be_taken_up_anew(
        steps in prop::collection::vec((0u8..8, any::<u8>()), 0..300), order in 0u32..5, near_the_end in any::<bool>(),
    ) {
        let shape = Shape::new(1 << order, 3).unwrap();
        let words = Words::new(shape);
        if near_the_end {
            for count in [WRITTEN, TAKEN] {
                words.word(count).unwrap().store(u32::MAX - 5, SeqCst);
            }
        }
        let (mut producer, mut consumer) = (Producer::new(words.clone(), shape).unwrap(), Consumer::new(words.clone(), shape).unwrap());
        let mut queue: VecDeque<u8> = VecDeque::new();
        for (what, value) in steps {
            match what {
                0..=3 => {
                    let full = queue.len() == 1 << order;
                    let pushed = producer.push(&[value, value ^ 1, value ^ 2]);
                    prop_assert_eq!(pushed, if full { Err(Error::WouldBlock) } else { Ok(false) });
                    if !full {
                        queue.push_back(value);
                    }
                }
                4..=5 => {
                    let mut entry = [0; 3];
                    let popped = consumer.pop(&mut entry);
                    match queue.pop_front() {
                        None => prop_assert_eq!(popped, Err(Error::WouldBlock)),
                        Some(value) => {
                            prop_assert_eq!(popped, Ok(false));
                            prop_assert_eq!(entry, [value, value ^ 1, value ^ 2]);
                        }
                    }
                }
                // One side was started anew.
                6 => producer = Producer::new(words.clone(), shape).unwrap(),
                _ => consumer = Consumer::new(words.clone(), shape).unwrap(),
            }
        }
    }
}

#[test]
fn whoever_waits_is_woken_once() {
    let (_, mut producer, mut consumer) = ends(2, 1);
    assert_eq!(consumer.wait_announced(), Ok(true));
    assert_eq!((producer.push(&[1]), producer.push(&[2])), (Ok(true), Ok(false)));
    assert_eq!(consumer.wait_announced(), Ok(false), "there is something now");
    assert_eq!(producer.push(&[3]), Err(Error::WouldBlock));
    assert_eq!(producer.wait_announced(), Ok(true));
    let mut entry = [0];
    assert_eq!((consumer.pop(&mut entry), consumer.pop(&mut entry)), (Ok(true), Ok(false)));
    assert_eq!(producer.wait_announced(), Ok(false));
    assert_eq!(producer.push(&[4]), Ok(false), "the wait that did not come about is forgotten");
}

/// Each side waits for real: a wake-up that got lost would hang here for ever.
#[test]
fn two_threads_lose_no_entry_and_no_wake_up() {
    const COUNT: u32 = 20_000;
    let (_, mut producer, mut consumer) = ends(4, 4);
    let bells = Arc::new([(); 2].map(|()| (std::sync::Mutex::new(false), std::sync::Condvar::new())));
    let ring = |bells: &[(std::sync::Mutex<bool>, std::sync::Condvar); 2], which: usize| {
        *bells[which].0.lock().unwrap() = true;
        bells[which].1.notify_one();
    };
    let wait = |bells: &[(std::sync::Mutex<bool>, std::sync::Condvar); 2], which: usize| {
        let mut rung = bells[which].0.lock().unwrap();
        while !*rung {
            rung = bells[which].1.wait(rung).unwrap();
        }
        *rung = false;
    };
    let theirs = bells.clone();
    let reader = std::thread::spawn(move || {
        let mut next = 0u32;
        while next < COUNT {
            let mut entry = [0; 4];
            match consumer.pop(&mut entry) {
                Ok(wake) => {
                    assert_eq!(u32::from_le_bytes(entry), next);
                    next += 1;
                    if wake {
                        ring(&theirs, 1);
                    }
                }
                Err(Error::WouldBlock) => {
                    if consumer.wait_announced().unwrap() {
                        wait(&theirs, 0);
                    }
                }
                Err(error) => panic!("{error}"),
            }
        }
    });
    for value in 0..COUNT {
        loop {
            match producer.push(&value.to_le_bytes()) {
                Ok(true) => break ring(&bells, 0),
                Ok(false) => break,
                Err(Error::WouldBlock) => {
                    if producer.wait_announced().unwrap() {
                        wait(&bells, 1);
                    }
                }
                Err(error) => panic!("{error}"),
            }
        }
    }
    reader.join().unwrap();
}

#[test]
fn a_count_that_can_not_be_is_corrupt_and_harms_nothing() {
    let (words, mut producer, mut consumer) = ends(4, 1);
    for lie in [5, 1 << 31, u32::MAX - 4] {
        words.word(WRITTEN).unwrap().store(lie, SeqCst);
        assert_eq!(consumer.pop(&mut [0]), Err(Error::Corrupt), "{lie:#x}");
        assert_eq!(consumer.wait_announced(), Err(Error::Corrupt));
        assert!(Consumer::new(words.clone(), Shape::new(4, 1).unwrap()).is_err());
    }
    words.word(WRITTEN).unwrap().store(0, SeqCst);
    for lie in [1, 1 << 31] {
        words.word(TAKEN).unwrap().store(lie, SeqCst);
        assert_eq!(producer.push(&[1]), Err(Error::Corrupt), "{lie:#x}");
    }
    words.word(TAKEN).unwrap().store(0, SeqCst);
    words.word(CONSUMER_WAITS).unwrap().store(77, SeqCst);
    assert_eq!(producer.push(&[1]), Ok(true), "a flag is a flag");
    assert_eq!(producer.push(&[1, 2]), Err(Error::BadArgument));
    assert_eq!(consumer.pop(&mut []), Err(Error::BadArgument));
    assert_eq!(consumer.pop(&mut [0]), Ok(false));
}

#[test]
fn shapes_have_bounds() {
    for (capacity, entry) in [(0, 1), (3, 1), (1 << 21, 1), (4, 0), (4, 4097)] {
        assert_eq!(Shape::new(capacity, entry), Err(Error::BadArgument), "{capacity} {entry}");
    }
    assert_eq!(Shape::new(8, 16).map(Shape::bytes), Ok(256 + 128));
}
