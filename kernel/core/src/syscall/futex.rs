//! Calls on futex words.
//!
//! A count that is worked on in steps carries how far it has come in its upper half, where a caller has zero: the call
//! goes on from there when it is made again after an interrupt. The caller finds its registers as they were.

use super::{Answer, Context};
use crate::ipc::futex::Word;
use crate::{Field, Kernel, Machine};
use abi::{Error, Result};

/// Threads woken or moved between two looks for an interrupt.
const STEP: u32 = 8;

/// A count in work: what is left of it, how much is done, and the register that carries it.
struct Count<'a> {
    left: u32,
    done: u32,
    register: &'a Field<u64>,
}

impl Count<'_> {
    /// Takes a count up, and puts into its register what the caller had there.
    fn of(register: &Field<u64>) -> Count<'_> {
        let word = register.get();
        let (left, done) = (word as u32, word.wrapping_shr(32) as u32);
        register.set(u64::from(left).wrapping_add(u64::from(done)));
        Count { left, done, register }
    }
    /// Lays it down for the next time.
    fn carry(&self) {
        self.register.set(u64::from(self.done).wrapping_shl(32) | u64::from(self.left));
    }
    /// Does one after the other until none is left or there is none to do; `false`: an interrupt came first.
    fn work(&mut self, one: impl Fn() -> bool, is_pending: impl Fn() -> bool) -> bool {
        while self.left > 0 {
            if !one() {
                return true;
            }
            self.left = self.left.saturating_sub(1);
            self.done = self.done.saturating_add(1);
            if self.left > 0 && self.done.is_multiple_of(STEP) && is_pending() {
                return false;
            }
        }
        true
    }
}

impl<M: Machine> Kernel<M> {
    /// The word at an address, where it holds a value. Errors: `BadArgument`, `BadAddress`, `OutOfQuota`, `OutOfMemory`,
    /// `WouldBlock` (it holds another).
    fn futex_expect(&self, cx: &Context, address: u64, expected: u64) -> Result<Word> {
        let expected = u32::try_from(expected).map_err(|_| Error::BadArgument)?;
        let word = self.futex_word(cx.process, address)?;
        Error::WouldBlock.when(self.futex_value(cx.process, address)? != expected)?;
        Ok(word)
    }

    /// `futex_wait`. Errors: `BadArgument`, `BadAddress`, `OutOfQuota`, `OutOfMemory` (of the word's page), `WouldBlock`
    /// (the value differs), `TimedOut`, `Cancelled`.
    pub fn futex_wait(&self, cx: &Context) -> Result<Answer> {
        let word = self.futex_expect(cx, cx.arg(0), cx.arg(1))?;
        Error::TimedOut.when(self.is_past(cx.arg(2)))?;
        self.futex_wait_begin(cx.thread, word, cx.arg(2));
        Ok(Answer::Written)
    }

    /// `futex_wake`. Errors: `BadArgument`, `BadAddress`.
    pub fn futex_wake(&self, cx: &Context) -> Result<Answer> {
        let mut count = Count::of(&cx.registers.rsi);
        let word = self.futex_word(cx.process, cx.arg(0))?;
        if !count.work(|| self.futex_wake_one(word), || self.machine.interrupt_pending()) {
            count.carry();
            return Ok(Answer::Again);
        }
        Ok(Answer::one(u64::from(count.done)))
    }

    /// `futex_requeue`. Errors: `BadArgument`, `BadAddress`, `OutOfQuota`, `OutOfMemory` (of the word's page),
    /// `WouldBlock` (the value differs).
    pub fn futex_requeue(&self, cx: &Context) -> Result<Answer> {
        let (mut wake, mut moves) = (Count::of(&cx.registers.rdx), Count::of(&cx.registers.r9));
        // Once it is begun the value has been looked at.
        let from = match wake.done == 0 && moves.done == 0 {
            true => self.futex_expect(cx, cx.arg(0), cx.arg(1))?,
            false => self.futex_word(cx.process, cx.arg(0))?,
        };
        let to = self.futex_word(cx.process, cx.arg(3))?;
        Error::BadArgument.when(from == to)?;
        let is_pending = || self.machine.interrupt_pending();
        let all = wake.work(|| self.futex_wake_one(from), is_pending)
            && moves.work(|| self.futex_move_one(from, to), is_pending);
        if !all {
            wake.carry();
            moves.carry();
            return Ok(Answer::Again);
        }
        Ok(Answer::Values([u64::from(wake.done), u64::from(moves.done), 0, 0]))
    }
}
