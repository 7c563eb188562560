//! The example: `hello:NAME` greets NAME; writing to it changes how.
//!
//! A scheme is a value with a method for each operation it can do. This one can open, read, write and tell sizes;
//! everything else answers "not supported" by itself.

use abi::Error;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use scheme::lease::{Source, Target};
use scheme::scheme::{Caller, Opened, Outcome, Scheme};
use scheme::stat::{FileKind, Stat};
use scheme::wire::OpenFlags;

/// The longest greeting.
const LONGEST: usize = 64;

/// How to greet, and whom each open session greets.
pub struct Hello {
    greeting: String,
    names: BTreeMap<u64, String>,
    last: u64,
}

impl Hello {
    /// Says "Hello" until it is told otherwise.
    pub fn new() -> Hello {
        Hello { greeting: "Hello".into(), names: BTreeMap::new(), last: 0 }
    }

    fn text(&self, caller: &Caller) -> Outcome<String> {
        let name = self.names.get(&caller.id).ok_or(Error::IsDirectory)?;
        Ok(format!("{}, {name}!\n", self.greeting))
    }
}

impl Default for Hello {
    fn default() -> Hello {
        Hello::new()
    }
}

impl Scheme for Hello {
    fn open(&mut self, _: &Caller, path: &str, _: OpenFlags) -> Outcome<Opened> {
        if path.is_empty() {
            return Err(Error::NotFound.into());
        }
        self.last += 1;
        self.names.insert(self.last, path.into());
        Ok(Opened::new(self.last))
    }

    fn read(&mut self, caller: &Caller, offset: u64, target: &mut Target<'_>) -> Outcome<usize> {
        Ok(target.fill_from(self.text(caller)?.as_bytes(), offset)?)
    }

    fn write(&mut self, _: &Caller, _: u64, source: &mut Source<'_>) -> Outcome<usize> {
        let bytes = source.to_vec(LONGEST)?;
        let text = core::str::from_utf8(&bytes).map_err(|_| Error::BadArgument)?;
        self.greeting = text.trim().into();
        Ok(bytes.len())
    }

    fn stat(&mut self, caller: &Caller, _: &str) -> Outcome<Stat> {
        let size = self.text(caller)?.len() as u64;
        Ok(Stat { kind: FileKind::File, permissions: 0o666, links: 1, size, id: caller.id, ..Stat::default() })
    }

    fn close(&mut self, caller: &Caller) {
        self.names.remove(&caller.id);
    }
}
