//! Sorting in little code.
//!
//! The sorts of the standard library are compiled anew for every type and every order: 8 KB each time, which was 22 KB
//! of what a browser downloads (decision 0108). Here only what looks at the items is: the sorting itself is one function
//! over numbers. It takes some half as long again, and is as stable and as bounded.

use std::cmp::Ordering;

/// Sorts; what is equal keeps its order.
pub fn sort<T: Ord>(items: &mut [T]) {
    sort_by(items, T::cmp);
}

/// Sorts by what is made of each item; what is equal keeps its order.
pub fn sort_by_key<T, K: Ord>(items: &mut [T], mut key: impl FnMut(&T) -> K) {
    sort_by(items, |left, right| key(left).cmp(&key(right)));
}

/// Sorts by comparing; what is equal keeps its order.
pub fn sort_by<T>(items: &mut [T], mut compare: impl FnMut(&T, &T) -> Ordering) {
    let mut order = order(items.len(), &mut |left, right| match (items.get(left), items.get(right)) {
        (Some(left), Some(right)) => compare(left, right),
        _ => Ordering::Equal,
    });
    // Along each cycle of the permutation every item is swapped into its place.
    for start in 0..order.len() {
        let mut at = start;
        while let Some(slot) = order.get_mut(at) {
            let from = std::mem::replace(slot, at);
            if from == start {
                break;
            }
            items.swap(at, from);
            at = from;
        }
    }
}

/// The numbers below `len` in the order of the items: runs of growing length are merged.
fn order(len: usize, compare: &mut dyn FnMut(usize, usize) -> Ordering) -> Vec<usize> {
    let mut order: Vec<usize> = (0..len).collect();
    let mut run = 1;
    while run < len {
        let mut merged = Vec::with_capacity(len);
        for both in order.chunks(run * 2) {
            let (mut left, mut right) = both.split_at_checked(run).unwrap_or((both, &[]));
            while let (Some((first, lefts)), Some((second, rights))) = (left.split_first(), right.split_first()) {
                if compare(*first, *second) == Ordering::Greater {
                    merged.push(*second);
                    right = rights;
                } else {
                    merged.push(*first);
                    left = lefts;
                }
            }
            merged.extend_from_slice(left);
            merged.extend_from_slice(right);
        }
        order = merged;
        run *= 2;
    }
    order
}
