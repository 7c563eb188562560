//! Random sessions on random ways between labels, against the matrix.
//!
//! What each process holds is predicted from the matrix alone; after every call [`World::check`] looks at every table.
//! In the end the record has exactly the denials that were seen.
//!
//! [`World::check`]: kernel_core::world::World::check

use crate::kit::{Actor, Kit};
use abi::call::Call;
use abi::message::buffer;
use abi::security::{Shape, Verdict, RIGHTS};
use abi::{Error, Rights};
use kernel_core::world::{Outcome, LENT};
use std::collections::BTreeMap;

const SUBJECTS: u32 = 6;
const TYPES: u32 = 5;

/// xorshift64*: a seed tells the whole run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) % n
    }
}

/// A session that a process holds.
#[derive(Clone, Copy)]
struct Held {
    handle: u64,
    object_type: u32,
    /// The label of who made it.
    made_by: u32,
    rights: Rights,
}

struct Run {
    kit: Kit,
    dice: Dice,
    matrix: BTreeMap<(u32, u32), Rights>,
    actors: Vec<(Actor, u32)>,
    held: Vec<Vec<Held>>,
    /// Denials predicted of each subject.
    denied: BTreeMap<u32, u64>,
    crossed: u64,
}

impl Run {
    fn new(seed: u64) -> Run {
        let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        let shape = Shape { subjects: SUBJECTS, types: TYPES };
        let mut policy = shape.header().to_vec();
        policy.resize(shape.length(), 0);
        let mut matrix = BTreeMap::new();
        for subject in 1..SUBJECTS {
            for object_type in 1..TYPES {
                let rights = Rights::from_bits_truncate(dice.below(1 << 9) as u16) & RIGHTS;
                shape.allow(&mut policy, subject, object_type, rights);
                matrix.insert((subject, object_type), rights);
            }
        }
        let mut kit = Kit::new();
        assert_eq!(kit.load(&policy), Ok(()));
        let actors: Vec<_> = (0..SUBJECTS).chain([1, 2]).map(|label| (kit.actor(label), label)).collect();
        let held = actors.iter().map(|_| Vec::new()).collect();
        Run { kit, dice, matrix, actors, held, denied: BTreeMap::new(), crossed: 0 }
    }

    fn may(&self, label: u32, object_type: u32) -> Rights {
        self.matrix.get(&(label, object_type)).copied().unwrap_or(Rights::empty())
    }

    /// What the rules leave when `held` goes from one label to another; `None`: denied.
    fn left(&self, held: &Held, asked: Rights, from: u32, to: u32) -> Option<Rights> {
        let rights = held.rights & asked;
        if from == to || held.made_by == to {
            return Some(rights);
        }
        Some(rights & self.may(to, held.object_type)).filter(|r| r.contains(Rights::SEND))
    }

    fn make(&mut self, at: usize) {
        let (actor, label) = self.actors[at];
        let object_type = self.dice.below(u64::from(TYPES) + 1) as u32;
        let endpoint = self.kit.w.ok(actor.thread, Call::EndpointCreate, &[actor.quota])[0];
        let made = self.kit.w.call(actor.thread, Call::SessionCreate, &[endpoint, 1, u64::from(object_type)]);
        let allowed = object_type == 0 || self.may(label, object_type).contains(Rights::MANAGE);
        match made {
            Outcome::Done([handle, ..]) => {
                assert!(allowed);
                let rights = self.kit.rights(actor, handle);
                self.held[at].push(Held { handle, object_type, made_by: label, rights });
            }
            other => {
                assert_eq!((other, allowed), (Outcome::Failed(Error::Denied), false));
                *self.denied.entry(label).or_default() += 1;
            }
        }
    }

    fn carry(&mut self, from: usize) {
        let to = self.dice.below(self.actors.len() as u64) as usize;
        let count = self.held[from].len() as u64;
        if to == from || count == 0 {
            return;
        }
        let held = self.held[from][self.dice.below(count) as usize];
        let asked = match self.dice.below(3) {
            0 => Rights::from_bits_truncate(self.dice.below(1 << 9) as u16),
            _ => Rights::all(),
        };
        let ((sender, a), (receiver, b)) = (self.actors[from], self.actors[to]);
        let may_go = held.rights.contains(Rights::TRANSFER);
        let expected = self.left(&held, asked, a, b);
        let (got, by) = match self.dice.below(3) {
            0 => {
                let process = self.kit.handle_to(sender, receiver.process);
                let args = [process, held.handle, u64::from(asked.bits())];
                let got = match self.kit.w.call(sender.thread, Call::ProcessGrant, &args) {
                    Outcome::Done([handle, ..]) => Ok(handle),
                    Outcome::Failed(error) => Err(error),
                    other => panic!("{other:?}"),
                };
                self.kit.w.ok(sender.thread, Call::Close, &[process]);
                (got, a)
            }
            1 if may_go => {
                let word = self.kit.message(sender, held.handle, asked, receiver);
                (if word == buffer::DENIED_CAP { Err(Error::Denied) } else { Ok(word & 0xffff_ffff) }, a)
            }
            _ if may_go && asked == Rights::all() => {
                let got = self.through_a_name(held, sender, receiver);
                // Who takes it out is asked, whoever put it in.
                if got == Err(Error::Denied) {
                    *self.denied.entry(b).or_default() += 1;
                }
                let expected = self.left(&held, asked, u32::MAX, b);
                return self.judge(to, held, got, expected, may_go, None);
            }
            _ => return,
        };
        self.judge(to, held, got, expected, may_go, Some(by));
    }

    fn through_a_name(&mut self, held: Held, sender: Actor, receiver: Actor) -> Result<u64, Error> {
        self.kit.bind(sender, held.handle, "x", receiver)?;
        let process = self.kit.handle_to(receiver, receiver.process);
        let namespace = self.kit.w.ok(receiver.thread, Call::ProcessNamespace, &[process])[0];
        // Of one's own, one may only look: the right to manage it is another's gift.
        let own = self.kit.w.object::<kernel_core::object::Namespace>(receiver.process, namespace);
        let all = self.kit.w.kernel.cap_insert(receiver.process, abi::Kind::Namespace, own.raw(), Rights::all(), None);
        let all = all.unwrap().word();
        self.kit.put(receiver, b"x");
        let got = match self.kit.w.call(receiver.thread, Call::NamespaceSession, &[all, LENT, 1]) {
            Outcome::Done([handle, ..]) => Ok(handle),
            Outcome::Failed(error) => Err(error),
            other => panic!("{other:?}"),
        };
        self.kit.w.ok(receiver.thread, Call::NamespaceBind, &[all, LENT, 1, 0]);
        let _ = [process, namespace, all].map(|h| self.kit.w.ok(receiver.thread, Call::Close, &[h]));
        got
    }

    fn judge(
        &mut self,
        to: usize,
        held: Held,
        got: Result<u64, Error>,
        expected: Option<Rights>,
        may_go: bool,
        by: Option<u32>,
    ) {
        match got {
            Ok(handle) => {
                let rights = self.kit.rights(self.actors[to].0, handle);
                assert!(may_go);
                assert_eq!(Some(rights), expected, "type {} to {}", held.object_type, self.actors[to].1);
                self.held[to].push(Held { handle, rights, ..held });
                self.crossed += 1;
            }
            Err(Error::NoRight) => assert!(!may_go),
            Err(error) => {
                assert_eq!((error, expected), (Error::Denied, None));
                if let Some(by) = by {
                    *self.denied.entry(by).or_default() += 1;
                }
            }
        }
    }

    fn forget(&mut self, at: usize) {
        let count = self.held[at].len() as u64;
        if count != 0 {
            let index = self.dice.below(count) as usize;
            let held = self.held[at].swap_remove(index);
            self.kit.w.ok(self.actors[at].0.thread, Call::Close, &[held.handle]);
        }
    }

    fn step(&mut self) {
        let at = self.dice.below(self.actors.len() as u64) as usize;
        match self.dice.below(8) {
            0 | 1 => self.make(at),
            2 => self.forget(at),
            _ => self.carry(at),
        }
    }
}

#[test]
fn no_session_is_ever_where_the_matrix_does_not_let_it_be() {
    let (mut crossed, mut denied) = (0, 0);
    for seed in 1..=30 {
        println!("seed {seed}");
        let mut run = Run::new(seed);
        for _ in 0..200 {
            run.step();
        }
        let predicted: u64 = run.denied.values().sum();
        let (records, lost) = run.kit.records(0, 0);
        let recorded = records.iter().filter(|r| r.verdict == Verdict::Denied).count() as u64;
        assert_eq!((recorded, lost), (predicted, 0), "the record has exactly the denials");
        for label in 0..SUBJECTS {
            let (kept, lost) = run.kit.records(1 + u64::from(label), 0);
            let of_label = run.denied.get(&label).copied().unwrap_or(0);
            assert_eq!(kept.len() as u64 + lost, of_label, "label {label}");
        }
        (crossed, denied) = (crossed + run.crossed, denied + predicted);
        run.kit.w.end();
    }
    println!("{crossed} went over, {denied} were denied");
    assert!(crossed > 500 && denied > 500, "a run that tries nothing shows nothing");
}
