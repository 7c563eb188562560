//! The fuzzer's bytes, read from front to back; past their end all is 0.
//!
//! An operation takes few bytes, the same number whatever they say where that can be had, so that a change in one place
//! leaves the operations behind it what they were.

/// What is left of the bytes.
#[derive(Clone, Copy, Debug)]
pub struct Input<'a> {
    rest: &'a [u8],
}

impl<'a> Input<'a> {
    /// All of them.
    pub fn new(bytes: &'a [u8]) -> Input<'a> {
        Input { rest: bytes }
    }

    /// Whether they are used up.
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The next byte.
    pub fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.rest.split_first() else { return 0 };
        self.rest = rest;
        *first
    }

    /// The next byte, as a number below `n` (which is from 1 to 256).
    pub fn below(&mut self, n: usize) -> usize {
        usize::from(self.byte()) % n
    }

    /// The next two bytes.
    pub fn short(&mut self) -> u64 {
        u64::from(self.byte()) | u64::from(self.byte()) << 8
    }

    /// The next eight bytes.
    pub fn word(&mut self) -> u64 {
        (0..8).fold(0, |word, i| word | u64::from(self.byte()) << (8 * i))
    }

    /// One of these, by the next byte; none if there are none.
    pub fn pick<T: Copy>(&mut self, from: &[T]) -> Option<T> {
        let byte = usize::from(self.byte());
        from.get(byte.checked_rem(from.len())?).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::Input;

    #[test]
    fn past_the_end_all_is_zero() {
        let mut input = Input::new(&[1, 2, 3]);
        assert_eq!((input.byte(), input.short(), input.is_empty()), (1, 0x302, true));
        assert_eq!((input.word(), input.pick(&[7, 8]), input.pick::<u8>(&[])), (0, Some(7), None));
    }
}
