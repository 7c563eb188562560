//! New builds of services: a program that takes the place of the one in
//! initfs, on trial until it says that it is ready.
//!
//! init reads no files: whoever asks hands the program over in a Memory, which is copied before anything is done with it.

use abi::{Error, Handle, Result};
use alloc::vec::Vec;
use scheme::elf;
use scheme::rt::calls;

/// The longest program that is taken.
pub const LONGEST: u64 = 16 << 20;
/// Bytes copied by one call.
const PIECE: usize = 64 * 1024;

/// The programs of one service that are not in initfs.
#[derive(Debug, Default)]
pub struct Builds {
    /// What it runs, where it was upgraded; else the program of its manifest.
    current: Option<Vec<u8>>,
    /// What is to take its place.
    trial: Option<Vec<u8>>,
    /// How many have.
    pub upgrades: u32,
}

impl Builds {
    /// A build to be tried at the next start. Errors: `Busy` (another one is on trial).
    pub fn offer(&mut self, program: Vec<u8>) -> Result<()> {
        if self.trial.is_some() {
            return Err(Error::Busy);
        }
        self.trial = Some(program);
        Ok(())
    }

    /// The program to start: the one on trial, or the one it was upgraded to; `None`: that of its manifest.
    pub fn program(&self) -> Option<&[u8]> {
        self.trial.as_deref().or(self.current.as_deref())
    }

    /// The service is ready: what was on trial stays. Answers its length if there was something.
    pub fn accept(&mut self) -> Option<usize> {
        let program = self.trial.take()?;
        let length = program.len();
        self.current = Some(program);
        self.upgrades = self.upgrades.saturating_add(1);
        Some(length)
    }

    /// What was on trial ended before it was ready, or could not be started: it is forgotten. Answers whether there was something.
    pub fn reject(&mut self) -> bool {
        self.trial.take().is_some()
    }
}

/// Copies a program out of a Memory. Errors: `BadArgument` (empty, too long, or no such Memory), `NotExecutable`.
pub fn read(memory: Handle, length: u64) -> Result<Vec<u8>> {
    if length == 0 || length > LONGEST {
        return Err(Error::BadArgument);
    }
    let mut program = alloc::vec![0; length as usize];
    let mut at = 0u64;
    for piece in program.chunks_mut(PIECE) {
        calls::memory_read(memory, at, piece).map_err(|_| Error::BadArgument)?;
        at = at.saturating_add(piece.len() as u64);
    }
    elf::parse(&program).map_err(|_| Error::NotExecutable)?;
    Ok(program)
}

#[cfg(test)]
mod tests {
    use super::Builds;
    use abi::Error;
    use alloc::vec;

    #[test]
    fn a_build_stays_when_it_is_ready_and_goes_when_it_never_was() {
        let mut builds = Builds::default();
        assert_eq!(builds.program(), None);
        assert_eq!((builds.accept(), builds.reject()), (None, false));
        builds.offer(vec![1]).unwrap();
        assert_eq!(builds.offer(vec![2]), Err(Error::Busy));
        assert_eq!(builds.program(), Some(&[1][..]));
        assert!(builds.reject());
        assert_eq!((builds.program(), builds.upgrades), (None, 0));
        builds.offer(vec![3, 3]).unwrap();
        assert_eq!(builds.accept(), Some(2));
        builds.offer(vec![4]).unwrap();
        assert!(builds.reject());
        assert_eq!((builds.program(), builds.upgrades), (Some(&[3, 3][..]), 1));
    }
}
