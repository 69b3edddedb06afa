//! What was read lately, within a bound on its bytes: the oldest goes first.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::sync::Arc;

#[derive(Debug)]
pub(super) struct HeldReads<K, V> {
    held: HashMap<K, HeldRead<V>>,
    /// The keys, each once, the oldest first.
    order: VecDeque<K>,
    bytes: usize,
    most: usize,
}

#[derive(Debug)]
struct HeldRead<V> {
    value: Arc<V>,
    bytes: usize,
}

impl<K: Clone + Eq + Hash, V> HeldReads<K, V> {
    /// At most so many bytes.
    pub(super) fn new(most: usize) -> Self {
        Self { held: HashMap::new(), order: VecDeque::new(), bytes: 0, most }
    }

    pub(super) fn get(&self, key: &K) -> Option<Arc<V>> {
        self.held.get(key).map(|held| Arc::clone(&held.value))
    }

    /// Keeps a value of about so many bytes, in place of an earlier one of the key.
    pub(super) fn put(&mut self, key: K, value: Arc<V>, bytes: usize) {
        self.bytes += bytes;
        match self.held.insert(key.clone(), HeldRead { value, bytes }) {
            Some(replaced) => self.bytes -= replaced.bytes,
            None => self.order.push_back(key),
        }
        while self.bytes > self.most
            && let Some(oldest) = self.order.pop_front()
        {
            self.bytes -= self.held.remove(&oldest).map_or(0, |gone| gone.bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_goes_where_there_is_no_room() {
        let mut held = HeldReads::new(10);
        for key in 1..=4 {
            held.put(key, Arc::new(key * 10), 3);
        }
        let kept = |held: &HeldReads<i32, i32>| {
            let all: Vec<_> = (1..=4).filter_map(|key| held.get(&key)).map(|value| *value).collect();
            (all, held.bytes, held.order.len())
        };
        assert_eq!(kept(&held), (vec![20, 30, 40], 9, 3));
        held.put(2, Arc::new(21), 4);
        assert_eq!(kept(&held), (vec![21, 30, 40], 10, 3));
        held.put(1, Arc::new(11), 6);
        assert_eq!(kept(&held), (vec![11, 40], 9, 2));
        held.put(3, Arc::new(31), 11);
        assert_eq!(kept(&held), (vec![], 0, 0), "what is larger than all room is not kept");
    }
}
