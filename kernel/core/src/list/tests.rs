//! The lists against a double-ended queue.

use super::InProcess;
use crate::arena::Arena;
use crate::id::Id;
use crate::object::{ListHead, Reply};
use proptest::prelude::{prop, proptest};
use std::collections::VecDeque;

proptest! {
    #[test]
    fn a_list_does_what_a_deque_does(ops in prop::collection::vec((0u8..4, 1usize..40), 1..300)) {
        let items: Vec<Reply> = (0..40).map(|_| Reply::default()).collect();
        let arena = Arena::new(items.leak(), &[], &[]);
        let head = ListHead::default();
        let list = arena.list::<InProcess>(&head);
        let mut model: VecDeque<usize> = VecDeque::new();
        for (op, index) in ops {
            let id = Id::try_new(index).unwrap();
            let is_in = model.contains(&index);
            assert_eq!(list.contains(id), is_in);
            match op {
                0 if !is_in => { list.push_back(id); model.push_back(index); }
                1 if !is_in => { list.push_front(id); model.push_front(index); }
                2 if is_in => { list.remove(id); model.retain(|i| *i != index); }
                3 => assert_eq!(list.pop_front().map(Id::index), model.pop_front()),
                _ => {}
            }
            assert_eq!(list.iter().map(Id::index).collect::<Vec<_>>(), model.iter().copied().collect::<Vec<_>>());
            assert_eq!(list.last().map(Id::index), model.back().copied());
            assert_eq!(list.is_empty(), model.is_empty());
        }
    }
}
