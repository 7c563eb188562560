//! The table of open sessions: what each badge stands for.

use crate::keepsake::{Keepsake, Kept, Slot};
use crate::path;
use crate::sequence::{Progress, Record, Records};
use crate::store::Store;
use crate::wire::{OpenFlags, FIRST_OWN_BADGE};
use alloc::collections::BTreeMap;
use alloc::string::String;

/// One open session.
#[derive(Clone, Debug)]
pub struct Session {
    /// The root session its path is seen from; its own badge for a root session.
    pub root: u64,
    /// What it stands for; `None` while it waits to be opened again after a restart.
    pub id: Option<u64>,
    /// What it stood for before the restart.
    pub old_id: u64,
    /// The flags it was opened with.
    pub flags: OpenFlags,
    /// Its path, normalised, seen from the root session.
    pub path: String,
    /// Where reads and writes without an offset go.
    pub position: u64,
    /// Its last numbered calls.
    pub records: Records,
    slot: Option<Slot>,
}

/// All of them, and their keepsake.
#[derive(Debug)]
pub struct Sessions<K: Store> {
    table: BTreeMap<u64, Session>,
    keepsake: Keepsake<K>,
    stamp: u64,
}

impl<K: Store> Sessions<K> {
    /// What the keepsake holds, each session waiting to be opened again.
    pub fn new(store: K) -> Sessions<K> {
        let mut keepsake = Keepsake::new(store);
        let mut table = BTreeMap::new();
        let mut stamp = 0u64;
        for (slot, kept, records) in keepsake.load() {
            stamp = stamp.max(records.stamp());
            let session = Session {
                root: kept.root,
                id: None,
                old_id: kept.id,
                flags: kept.flags,
                path: kept.path,
                position: records.position(),
                records,
                slot: Some(slot),
            };
            table.insert(kept.badge, session);
        }
        Sessions { table, keepsake, stamp }
    }

    /// The session with this badge.
    pub fn get(&self, badge: u64) -> Option<&Session> {
        self.table.get(&badge)
    }

    /// The session with this badge, to change what is not kept.
    pub fn get_mut(&mut self, badge: u64) -> Option<&mut Session> {
        self.table.get_mut(&badge)
    }

    /// All badges, in order.
    pub fn badges(&self) -> alloc::vec::Vec<u64> {
        self.table.keys().copied().collect()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    /// The greatest badge seen.
    pub fn last_badge(&self) -> u64 {
        self.table.last_key_value().map_or(0, |(badge, _)| *badge)
    }

    /// Enters a session and keeps it, where the keepsake has room.
    pub fn insert(&mut self, badge: u64, root: u64, id: u64, flags: OpenFlags, path: String) {
        let kept = Kept { badge, root, id, flags, path };
        let slot = self.keepsake.insert(&kept).ok();
        let session = Session {
            root,
            id: Some(id),
            old_id: id,
            flags,
            path: kept.path,
            position: 0,
            records: Records::default(),
            slot,
        };
        self.table.insert(badge, session);
    }

    /// Enters a root session, which is known by its first call.
    pub fn insert_root(&mut self, badge: u64, id: u64) {
        debug_assert!(badge < FIRST_OWN_BADGE);
        self.insert(badge, badge, id, OpenFlags::READ | OpenFlags::WRITE | OpenFlags::DIRECTORY, String::new());
    }

    /// Forgets a session.
    pub fn remove(&mut self, badge: u64) -> Option<Session> {
        let session = self.table.remove(&badge)?;
        if let Some(slot) = session.slot {
            self.keepsake.clear(slot);
        }
        Some(session)
    }

    /// Commits what is known of a numbered call, in memory and in the keepsake, and the position with it.
    pub fn record(&mut self, badge: u64, record: Record) {
        self.stamp = self.stamp.saturating_add(1);
        let Some(session) = self.table.get_mut(&badge) else { return };
        let record = Record { stamp: self.stamp, ..record };
        let place = session.records.place(record.sequence);
        session.position = record.position;
        if let Some(entry) = session.records.0.get_mut(place) {
            *entry = record;
        }
        if let Some(slot) = session.slot {
            // A record that can't be written must not be found half-true later: the session is not kept any more.
            if self.keepsake.commit(slot, place, &record).is_err() {
                self.keepsake.clear(slot);
                session.slot = None;
            }
        }
    }

    /// Takes back that a call was begun: it had no effect.
    pub fn withdraw(&mut self, badge: u64, sequence: u64) {
        if let Some(record) = self.get(badge).and_then(|session| session.records.find(sequence)).copied() {
            if record.progress == Progress::Begun {
                self.record(badge, Record { progress: Progress::None, ..record });
            }
        }
    }

    /// A name was changed: sessions at or below it, seen from roots that stand for `root_id`, have another path now.
    pub fn renamed(&mut self, root_id: Option<u64>, old: &str, new: &str) {
        let moved: alloc::vec::Vec<(u64, String)> = self
            .table
            .iter()
            .filter(|(_, session)| self.table.get(&session.root).and_then(|root| root.id) == root_id)
            .filter_map(|(badge, session)| {
                let rest = path::below(&session.path, old).filter(|_| !session.path.is_empty())?;
                Some((*badge, path::join(new, rest).ok()?))
            })
            .collect();
        for (badge, path) in moved {
            let Some(session) = self.table.get_mut(&badge) else { continue };
            session.path = path;
            let id = session.id.unwrap_or(session.old_id);
            if let Some(slot) = session.slot {
                let kept = Kept { badge, root: session.root, id, flags: session.flags, path: session.path.clone() };
                session.slot = match self.keepsake.replace(slot, &kept, &session.records) {
                    Ok(slot) => Some(slot),
                    Err(_) => {
                        // Under its old path it would be the wrong file after a restart.
                        self.keepsake.clear(slot);
                        None
                    }
                };
            }
        }
    }
}
