//! The tree against a sorted list.

use super::{InEndpoint, TreeNode};
use crate::arena::Arena;
use crate::field::Field;
use crate::id::Id;
use crate::object::Session;
use proptest::prelude::{prop, proptest, Strategy};
use std::collections::BTreeMap;

fn arena(n: usize) -> Arena<Session> {
    let items: Vec<Session> = (0..n).map(|_| Session::default()).collect();
    Arena::new(items.leak(), &[], &[])
}

/// Heights, order, parents, and that no two sides differ by more than one.
fn check(arena: &Arena<Session>, raw: u32, parent: u32, low: u64, high: u64) -> u32 {
    if raw == 0 {
        return 0;
    }
    let node = TreeNode::<InEndpoint>::links(&arena.items[raw as usize]);
    let key = node.key.get();
    assert!(low <= key && key <= high && node.parent.get() == parent);
    let left = check(arena, node.left.get(), raw, low, key.wrapping_sub(1));
    let right = check(arena, node.right.get(), raw, key.wrapping_add(1), high);
    assert!(left.abs_diff(right) <= 1);
    assert_eq!(node.level.get(), left.max(right) + 1);
    node.level.get()
}

proptest! {
    #[test]
    fn a_tree_does_what_a_btreemap_does(ops in prop::collection::vec((0u8..4, (0u64..200).prop_map(|k| k * 3)), 1..600)) {
        let arena = arena(256);
        let root = Field::new(0u32);
        let tree = arena.tree::<InEndpoint>(&root);
        let mut model: BTreeMap<u64, u32> = BTreeMap::new();
        let mut free: Vec<u32> = (1..256).collect();
        for (op, key) in ops {
            match op {
                0 | 1 => {
                    let raw = *free.last().unwrap();
                    let fresh = tree.insert(Id::try_new(raw as usize).unwrap(), key);
                    assert_eq!(fresh, !model.contains_key(&key));
                    if fresh {
                        model.insert(key, raw);
                        free.pop();
                    }
                }
                2 => {
                    if let Some(raw) = model.remove(&key) {
                        let id = Id::try_new(raw as usize).unwrap();
                        assert!(tree.contains(id));
                        tree.remove(id);
                        assert!(!tree.contains(id));
                        free.push(raw);
                    }
                }
                _ => {
                    let probe = key + 1;
                    assert_eq!(tree.floor(probe).map(Id::raw), model.range(..=probe).next_back().map(|e| *e.1));
                    assert_eq!(tree.ceiling(probe).map(Id::raw), model.range(probe..).next().map(|e| *e.1));
                    assert_eq!(tree.find(key).map(Id::raw), model.get(&key).copied());
                }
            }
            check(&arena, root.get(), 0, 0, u64::MAX);
        }
        let mut walked = Vec::new();
        let mut at = tree.first();
        while let Some(id) = at {
            walked.push(id.raw());
            at = tree.next(id);
        }
        assert_eq!(walked, model.values().copied().collect::<Vec<_>>());
        assert_eq!(tree.is_empty(), model.is_empty());
    }
}
