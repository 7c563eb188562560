//! Namespaces: the scheme names that a process can see.
//!
//! A handful of names, so a list is searched; each is charged to whoever bound it.

use crate::cap::reference::object;
use crate::object::{Name, Namespace, Quota, Session};
use crate::reaper::Reap;
use crate::{store, Field, Id, Kernel, Link, Machine};
use abi::{Error, Result, Rights};

/// The longest scheme name.
pub const NAME: usize = 32;
/// The most names in a namespace: `open` looks at them one after another.
pub const NAMES: u32 = 64;

object!(Namespace, Namespace, |kernel, id| kernel.reap_later(Reap::Namespace(id)));

impl Namespace {
    /// Unbinds one name of a namespace without references; answers whether it is gone.
    pub fn reap_step<M: Machine>(kernel: &mut Kernel<M>, id: Id<Namespace>) -> bool {
        let first = kernel.namespaces[id].first.get();
        match first {
            Some(name) => kernel.name_remove(id, None, name),
            None => kernel.free_object(id),
        }
        first.is_none()
    }
}

/// A scheme name as the words of a [`Name`]. Errors: `NameTooLong`, `InvalidName` (empty, or with anything but lower-case
/// letters, digits, `-`, `_` and `.`).
pub fn scheme_name(bytes: &[u8]) -> Result<[u64; 4]> {
    Error::NameTooLong.when(bytes.len() > NAME)?;
    let fits = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_.".contains(b);
    Error::InvalidName.when(bytes.is_empty() || !bytes.iter().all(fits))?;
    Ok(words(bytes))
}

/// At most 32 bytes as little-endian words.
pub fn words(bytes: &[u8]) -> [u64; 4] {
    let mut words = [0; 4];
    for (word, chunk) in words.iter_mut().zip(bytes.chunks(8)) {
        *word = chunk.iter().rev().fold(0, |w, b| w << 8 | u64::from(*b));
    }
    words
}

/// The bytes of such words, and how many there are before the padding.
pub fn bytes(words: [u64; 4]) -> ([u8; NAME], usize) {
    let mut bytes = [0; NAME];
    for (chunk, word) in bytes.chunks_exact_mut(8).zip(words) {
        chunk.copy_from_slice(&word.to_le_bytes());
    }
    let length = bytes.iter().position(|b| *b == 0).unwrap_or(NAME);
    (bytes, length)
}

impl<M: Machine> Kernel<M> {
    /// The name's record, and the record before it.
    fn name_find(&self, namespace: Id<Namespace>, name: [u64; 4]) -> Option<(Id<Name>, Link<Name>)> {
        let (mut before, mut at) = (None, self.namespaces[namespace].first.get());
        while let Some(id) = at {
            let record = &self.names[id];
            if record.name.each_ref().map(Field::get) == name {
                return Some((id, before));
            }
            before = at;
            at = record.next.get();
        }
        None
    }

    /// The root session that a namespace binds to a name, and the rights that it was bound with. Errors: `NotFound`.
    pub fn name_lookup(&self, namespace: Id<Namespace>, name: [u64; 4]) -> Result<(Id<Session>, Rights)> {
        let (id, _) = self.name_find(namespace, name).ok_or(Error::NotFound)?;
        let record = &self.names[id];
        let session = record.session.get().expect("invariant: a name is bound");
        Ok((session, Rights::from_bits_truncate(record.rights.get())))
    }

    /// The record of a name. Errors: `NotFound`.
    pub(crate) fn name_record(&self, namespace: Id<Namespace>, name: [u64; 4]) -> Result<Id<Name>> {
        self.name_find(namespace, name).map(|(id, _)| id).ok_or(Error::NotFound)
    }

    /// Unbinds a name, wherever it is.
    pub(crate) fn name_forget(&self, id: Id<Name>) {
        let namespace = self.names[id].namespace.get().expect("invariant: a name is in a namespace");
        let (mut before, mut at) = (None, self.namespaces[namespace].first.get());
        while let Some(other) = at.filter(|other| *other != id) {
            before = at;
            at = self.names[other].next.get();
        }
        self.name_remove(namespace, before, id);
    }

    /// Binds a name to a root session. Errors: `Exists`, `TableFull`, `OutOfQuota`, `OutOfMemory`.
    pub fn name_bind(
        &self,
        namespace: Id<Namespace>,
        name: [u64; 4],
        session: Id<Session>,
        rights: Rights,
        quota: Id<Quota>,
    ) -> Result<Id<Name>> {
        Error::Exists.when(self.name_find(namespace, name).is_some())?;
        Error::TableFull.when(self.namespaces[namespace].count.get() >= NAMES)?;
        let id = self.allocate::<Name>(quota)?;
        let record = &self.names[id];
        store(&record.name, name);
        self.refer(&record.session, Some(session));
        record.namespace.set(Some(namespace));
        record.rights.set(rights.bits());
        record.next.set(self.namespaces[namespace].first.replace(Some(id)));
        self.namespaces[namespace].count.update(|n| n.wrapping_add(1));
        Ok(id)
    }

    /// Unbinds a name. Errors: `NotFound`.
    pub fn name_unbind(&self, namespace: Id<Namespace>, name: [u64; 4]) -> Result<()> {
        let (id, before) = self.name_find(namespace, name).ok_or(Error::NotFound)?;
        self.name_remove(namespace, before, id);
        Ok(())
    }

    fn name_remove(&self, namespace: Id<Namespace>, before: Link<Name>, id: Id<Name>) {
        self.name_via_set(id, None, false);
        let record = &self.names[id];
        match before {
            Some(before) => self.names[before].next.set(record.next.get()),
            None => self.namespaces[namespace].first.set(record.next.get()),
        }
        self.namespaces[namespace].count.update(|n| n.wrapping_sub(1));
        self.refer(&record.session, None);
        self.free(id);
    }

    /// The name at a place in the list. Errors: `NotFound`.
    pub fn name_at(&self, namespace: Id<Namespace>, index: u64) -> Result<[u64; 4]> {
        let mut at = self.namespaces[namespace].first.get();
        for _ in 0..index.min(u64::from(NAMES)) {
            at = self.names[at.ok_or(Error::NotFound)?].next.get();
        }
        Ok(self.names[at.ok_or(Error::NotFound)?].name.each_ref().map(Field::get))
    }
}
