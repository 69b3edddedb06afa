//! The filters of the open streams about prompts. Each is held once, since the processes of a fleet watch the same prompts,
//! and their names take no more memory than a bound.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use prompt_ledger_domain::{Error, Reason, Result};

use crate::front::shares::{Share, Shares};

/// The most bytes of the filters that the streams of one key began, and of all.
const ROOM: (usize, usize) = (16 * 1024 * 1024, 64 * 1024 * 1024);
/// Retry delay where there is no room.
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// From how many entries on those of ended streams are looked for.
const LEAST: usize = 64;

/// Selects prompts by name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct PromptWatchFilter {
    /// Sorted.
    names: Box<[Box<str>]>,
    /// Empty for none.
    prefix: Box<str>,
}

impl PromptWatchFilter {
    /// Prompts of these names, and those whose name begins with `prefix`; all where there is neither.
    #[must_use]
    pub fn new(names: Vec<String>, prefix: String) -> Self {
        let mut names: Vec<Box<str>> = names.into_iter().map(Into::into).collect();
        names.sort_unstable();
        names.dedup();
        Self { names: names.into(), prefix: prefix.into() }
    }

    pub(super) fn matches(&self, name: &str) -> bool {
        match (self.names.is_empty(), self.prefix.is_empty()) {
            (true, true) => true,
            (_, false) if name.starts_with(&*self.prefix) => true,
            _ => self.names.binary_search_by(|held| (**held).cmp(name)).is_ok(),
        }
    }

    /// About how many bytes it takes in memory.
    fn bytes(&self) -> usize {
        /// Of the record and of each name: pointers, and what an allocation takes beside its bytes.
        const OTHER: usize = 32;
        OTHER + self.prefix.len() + self.names.iter().map(|name| name.len() + OTHER).sum::<usize>()
    }
}

/// A filter that at least one stream has.
#[derive(Debug)]
pub(super) struct HeldFilter {
    filter: PromptWatchFilter,
    _room: Share<u64>,
}

impl std::ops::Deref for HeldFilter {
    type Target = PromptWatchFilter;

    fn deref(&self) -> &PromptWatchFilter {
        &self.filter
    }
}

#[derive(Debug)]
pub(super) struct HeldFilters {
    room: Arc<Shares<u64>>,
    hasher: RandomState,
    held: Mutex<FiltersByHash>,
}

#[derive(Debug)]
struct FiltersByHash {
    filters: HashMap<u64, Weak<HeldFilter>>,
    /// How many entries there may be before those of ended streams are removed.
    most: usize,
}

impl HeldFilters {
    pub(super) fn new() -> Self {
        Self::limited(ROOM)
    }

    fn limited((each, all): (usize, usize)) -> Self {
        let held = FiltersByHash { filters: HashMap::new(), most: LEAST };
        Self { room: Shares::new(each, all), hasher: RandomState::new(), held: Mutex::new(held) }
    }

    /// The filter, held for as long as the result is; OVERLOADED where this key's filters, or all, take as much as they may.
    pub(super) fn hold(&self, key: u64, filter: PromptWatchFilter) -> Result<Arc<HeldFilter>> {
        let hash = self.hasher.hash_one(&filter);
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let known = held.filters.get(&hash).and_then(Weak::upgrade);
        if let Some(known) = known.filter(|known| known.filter == filter) {
            return Ok(known);
        }
        let room = self.room.try_take(key, filter.bytes()).map_err(|_| no_room())?;
        let new = Arc::new(HeldFilter { filter, _room: room });
        if held.filters.len() >= held.most {
            held.filters.retain(|_, held| held.strong_count() > 0);
            held.most = LEAST.max(2 * held.filters.len());
        }
        held.filters.insert(hash, Arc::downgrade(&new));
        Ok(new)
    }
}

fn no_room() -> Error {
    let message = "the names that watches of prompts list, of this key or of all, take as much memory as they may; watch a \
                   prefix, list fewer names, or end some watches";
    Error::new(Reason::Overloaded, message).retry_after(RETRY_AFTER)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(names: &[&str], prefix: &str) -> PromptWatchFilter {
        PromptWatchFilter::new(names.iter().map(|name| (*name).to_owned()).collect(), prefix.into())
    }

    #[test]
    fn a_filter_knows_names_and_beginnings_of_names() {
        for (names, prefix, expected) in [
            (&[][..], "", &["a", "b", "ba", "c"][..]),
            (&["c", "a", "c"], "", &["a", "c"]),
            (&[], "b", &["b", "ba"]),
            (&["c"], "ba", &["ba", "c"]),
        ] {
            let filter = filter(names, prefix);
            let found: Vec<_> = ["a", "b", "ba", "c"].into_iter().filter(|name| filter.matches(name)).collect();
            assert_eq!(found, expected);
        }
    }

    #[test]
    fn equal_filters_are_held_once_and_others_only_while_there_is_room() {
        let of = |name: &str| filter(&[name], "");
        let bytes = of("a").bytes();
        let held = HeldFilters::limited((2 * bytes, 3 * bytes));
        let one = held.hold(1, of("a")).unwrap();
        for key in [1, 2] {
            assert!(Arc::ptr_eq(&one, &held.hold(key, of("a")).unwrap()));
        }
        let two = held.hold(1, of("b")).unwrap();
        assert_eq!(held.hold(1, of("c")).unwrap_err().reason(), Reason::Overloaded);
        let three = held.hold(2, of("c")).unwrap();
        assert_eq!(held.hold(2, of("d")).unwrap_err().reason(), Reason::Overloaded);
        drop(two);
        assert!(held.hold(1, of("d")).unwrap().matches("d") && three.matches("c"));
    }

    #[test]
    fn filters_of_ended_streams_are_forgotten() {
        let held = HeldFilters::new();
        let kept = held.hold(1, filter(&["kept"], "")).unwrap();
        for number in 0..10 * LEAST {
            held.hold(1, filter(&[&number.to_string()], "")).unwrap();
        }
        assert!(held.held.lock().unwrap().filters.len() <= LEAST);
        assert!(Arc::ptr_eq(&kept, &held.hold(1, filter(&["kept"], "")).unwrap()));
    }
}
