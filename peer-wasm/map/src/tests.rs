use super::{BTreeMap, BTreeSet};
use proptest::prelude::*;
use std::collections as standard;

/// One thing done to a map.
#[derive(Clone, Debug)]
enum Step {
    Insert(u8, u16),
    Remove(u8),
    Entry(u8),
    PopFirst,
    PopLast,
    Retain(u8),
    Append(Vec<(u8, u16)>),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => any::<(u8, u16)>().prop_map(|(key, value)| Step::Insert(key % 32, value)),
        2 => any::<u8>().prop_map(|key| Step::Remove(key % 32)),
        1 => any::<u8>().prop_map(|key| Step::Entry(key % 32)),
        1 => Just(Step::PopFirst),
        1 => Just(Step::PopLast),
        1 => any::<u8>().prop_map(Step::Retain),
        1 => proptest::collection::vec((0..32u8, any::<u16>()), 0..8).prop_map(Step::Append),
    ]
}

proptest! {
    #[test]
    fn it_does_what_the_standard_map_does(steps in proptest::collection::vec(step(), 0..60), low in 0..40u8, high in 0..40u8) {
        let mut ours = BTreeMap::new();
        let mut theirs = standard::BTreeMap::new();
        for step in steps {
            match step {
                Step::Insert(key, value) => prop_assert_eq!(ours.insert(key, value), theirs.insert(key, value)),
                Step::Remove(key) => prop_assert_eq!(ours.remove(&key), theirs.remove(&key)),
                Step::Entry(key) => {
                    let next = |value: &mut u16| *value = value.wrapping_add(1);
                    prop_assert_eq!(ours.entry(key).and_modify(next).or_insert(7), theirs.entry(key).and_modify(next).or_insert(7));
                    next(ours.entry(key).or_default());
                    next(theirs.entry(key).or_default());
                }
                Step::PopFirst => prop_assert_eq!(ours.pop_first(), theirs.pop_first()),
                Step::PopLast => prop_assert_eq!(ours.pop_last(), theirs.pop_last()),
                Step::Retain(bit) => {
                    ours.retain(|key, value| { *value = value.wrapping_add(1); key & bit != 0 || bit == 0 });
                    theirs.retain(|key, value| { *value = value.wrapping_add(1); key & bit != 0 || bit == 0 });
                }
                Step::Append(more) => {
                    ours.append(&mut more.iter().copied().collect());
                    theirs.append(&mut more.into_iter().collect());
                }
            }
            prop_assert!(ours.iter().eq(theirs.iter()));
            prop_assert_eq!(ours.len(), theirs.len());
            prop_assert_eq!((ours.first_key_value(), ours.last_key_value()), (theirs.first_key_value(), theirs.last_key_value()));
        }
        for key in 0..40 {
            prop_assert_eq!(ours.get(&key), theirs.get(&key));
            prop_assert_eq!(ours.contains_key(&key), theirs.contains_key(&key));
        }
        prop_assert!(ours.range(low..).eq(theirs.range(low..)));
        prop_assert!(ours.range(..=high).rev().eq(theirs.range(..=high).rev()));
        if low <= high {
            prop_assert!(ours.range(low..high).eq(theirs.range(low..high)));
        }
        prop_assert!(ours.clone().into_iter().eq(theirs.clone()));
        prop_assert!(ours.into_values().eq(theirs.into_values()));
    }

    #[test]
    fn collecting_keeps_the_last_of_each_key(entries in proptest::collection::vec((0..16u8, any::<u16>()), 0..60)) {
        let ours: BTreeMap<u8, u16> = entries.iter().copied().collect();
        let theirs: standard::BTreeMap<u8, u16> = entries.into_iter().collect();
        prop_assert!(ours.iter().eq(theirs.iter()));
    }

    #[test]
    fn the_set_does_what_the_standard_set_does(steps in proptest::collection::vec((any::<bool>(), 0..16u8), 0..60)) {
        let mut ours = BTreeSet::new();
        let mut theirs = standard::BTreeSet::new();
        for (put, entry) in steps {
            if put {
                prop_assert_eq!(ours.insert(entry), theirs.insert(entry));
            } else {
                prop_assert_eq!(ours.remove(&entry), theirs.remove(&entry));
            }
            prop_assert_eq!(ours.contains(&entry), theirs.contains(&entry));
            prop_assert!(ours.iter().eq(theirs.iter()));
        }
        prop_assert_eq!(ours.pop_first(), theirs.pop_first());
        prop_assert!(ours.into_iter().eq(theirs));
    }
}

#[test]
fn a_backward_range_is_empty() {
    let map: BTreeMap<u8, u8> = [(1, 1), (5, 5), (9, 9)].into();
    let (low, high) = (2, 8);
    assert_eq!(map.range(high..low).count(), 0);
}

proptest! {
    #[test]
    fn sorts_as_the_standard_library_does(items in proptest::collection::vec((any::<u8>(), any::<u16>()), 0..300)) {
        let (mut ours, mut standard) = (items.clone(), items.clone());
        super::sort(&mut ours);
        standard.sort();
        prop_assert_eq!(&ours, &standard);
        // Equal keys keep their order.
        let (mut ours, mut standard) = (items.clone(), items);
        super::sort_by_key(&mut ours, |(key, _)| key % 8);
        standard.sort_by_key(|(key, _)| key % 8);
        prop_assert_eq!(ours, standard);
    }
}

#[test]
fn an_order_that_contradicts_itself_loses_nothing() {
    let mut turn = 0u32;
    let mut items: Vec<u32> = (0..1000).collect();
    super::sort_by(&mut items, |_, _| {
        turn = turn.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        if turn & 0x1_0000 == 0 { std::cmp::Ordering::Less } else { std::cmp::Ordering::Greater }
    });
    items.sort_unstable();
    assert!(items.iter().copied().eq(0..1000));
}
