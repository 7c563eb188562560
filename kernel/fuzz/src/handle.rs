//! Handles for arguments: most name something that the caller has, some
//! something else, some nothing.

use crate::input::Input;
use abi::{Error, Handle, Kind, Rights};
use kernel_core::arena::Arena;
use kernel_core::id::Id;
use kernel_core::object::{Cap, Process};
use kernel_core::test_machine::TestMachine;
use kernel_core::Kernel;

/// One entry of a capability table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The handle.
    pub handle: Handle,
    /// What kind of object it names.
    pub kind: Kind,
    /// What may be done with it.
    pub rights: Rights,
    /// The object, by its number in the arena of its kind.
    pub object: u32,
}

/// All that a process has, found by looking at every entry of its table: no look-up of the kernel's is used.
pub fn table<const FAULT: u8>(k: &Kernel<TestMachine<FAULT>>, process: Id<Process>) -> Vec<Entry> {
    let base = k.cap_table(process) as usize;
    let entries = k.processes[process].table_pages.get() as usize * Arena::<Cap>::PER_PAGE;
    let caps = (1..entries).filter_map(|index| Id::<Cap>::try_new(base + index));
    caps.filter_map(|cap| {
        let entry = &k.caps[cap];
        let (handle, object) = (entry.handle(), entry.object.get());
        entry.kind().map(|kind| Entry { handle, kind, rights: entry.rights(), object })
    })
    .collect()
}

/// A handle for an argument that should be of this kind (`None`: of any). Two bytes, and more for wild ones.
pub fn choose(input: &mut Input<'_>, table: &[Entry], kind: Option<Kind>) -> u64 {
    let (how, which) = (input.byte(), usize::from(input.byte()));
    let nth = |fits: &dyn Fn(&Entry) -> bool| {
        let all: Vec<&Entry> = table.iter().filter(|entry| fits(entry)).collect();
        all.get(which.checked_rem(all.len())?).map(|entry| entry.handle.0)
    };
    let any = || nth(&|_| true);
    let word = match how {
        0..=0x3f if kind.is_some_and(|kind| own(kind).is_some()) => kind.and_then(own).map(|handle| handle.0),
        0..=0xbf => nth(&|entry| kind.is_none_or(|kind| entry.kind == kind)).or_else(any),
        0xc0..=0xd7 => any(),
        0xd8..=0xe7 => Some(u32::MAX - (which % 6) as u32),
        0xe8..=0xef => any().map(|handle| handle ^ 1 << (16 + which % 4)),
        0xf0..=0xf7 => None,
        _ => return input.word(),
    };
    word.map_or(0, u64::from)
}

/// The handle by which every process names something of its own of a kind.
fn own(kind: Kind) -> Option<Handle> {
    Some(match kind {
        Kind::Process => Handle::SELF_PROCESS,
        Kind::Thread => Handle::SELF_THREAD,
        Kind::AddressSpace => Handle::SELF_SPACE,
        Kind::Quota => Handle::SELF_QUOTA,
        Kind::Namespace => Handle::SELF_NAMESPACE,
        _ => return None,
    })
}

/// The same, but never one that names the caller's own without a table.
pub fn choose_real(input: &mut Input<'_>, table: &[Entry], kind: Option<Kind>) -> u64 {
    let word = choose(input, table, kind);
    if Handle::from_word(word).is_some_and(Handle::is_pseudo) {
        0
    } else {
        word
    }
}

/// What a look-up has to answer, worked out from the table as it stands. Not for pseudo-handles, which no table holds.
pub fn look_up(table: &[Entry], word: u64, kind: Kind, rights: Rights) -> Result<(), Error> {
    let handle = Handle::from_word(word).ok_or(Error::BadHandle)?;
    let entry = table.iter().find(|entry| entry.handle == handle).ok_or(Error::BadHandle)?;
    if entry.kind != kind {
        return Err(Error::WrongKind);
    }
    if !entry.rights.contains(rights) {
        return Err(Error::NoRight);
    }
    Ok(())
}
