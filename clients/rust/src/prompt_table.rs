//! The prompts that a cache holds, and the order in which they have changed. Pure: no I/O, no clock.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use prompt_ledger_proto::v1;

/// A prompt, with the versions that can be asked for: the active one, and those that labels point at.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct PromptState {
    pub(crate) prompt: Arc<v1::Prompt>,
    pub(crate) versions: Vec<Arc<v1::PromptVersion>>,
}

impl PromptState {
    pub(crate) fn new(prompt: v1::Prompt, versions: Vec<v1::PromptVersion>) -> Self {
        Self { prompt: Arc::new(prompt), versions: versions.into_iter().map(Arc::new).collect() }
    }

    /// The version that is active, or that a label points at.
    pub(crate) fn version(&self, label: Option<&str>) -> Option<&Arc<v1::PromptVersion>> {
        let number = match label {
            None | Some("active") => self.prompt.active_version_number?,
            Some(own) => self.prompt.labels.iter().find(|held| held.label == own)?.version_number,
        };
        self.versions.iter().find(|version| version.version_number == number)
    }
}

/// Prompts by name. Each change makes an edition, so that a listener is a number: what came behind it is new to it.
#[derive(Debug, Default)]
pub(crate) struct PromptTable {
    by_name: HashMap<Arc<str>, TableEntry>,
    /// Every name once, by the edition of its last change.
    changed: BTreeMap<u64, Arc<str>>,
    edition: u64,
}

#[derive(Debug)]
struct TableEntry {
    /// Absent where the prompt is gone.
    state: Option<PromptState>,
    /// Of its last change.
    edition: u64,
}

impl PromptTable {
    pub(crate) fn of(states: Vec<PromptState>) -> Self {
        let mut table = Self::default();
        for state in states {
            table.put(state);
        }
        table
    }

    /// The number of changes; 0 before the first.
    pub(crate) fn edition(&self) -> u64 {
        self.edition
    }

    pub(crate) fn get(&self, name: &str) -> Option<&PromptState> {
        self.by_name.get(name)?.state.as_ref()
    }

    /// Every prompt, in no order.
    pub(crate) fn states(&self) -> impl Iterator<Item = &PromptState> {
        self.by_name.values().filter_map(|entry| entry.state.as_ref())
    }

    /// Holds this state in the place of an earlier one. The same state again is no change.
    pub(crate) fn put(&mut self, state: PromptState) {
        if self.get(&state.prompt.name) != Some(&state) {
            let name = Arc::from(state.prompt.name.as_str());
            self.change(name, Some(state));
        }
    }

    /// Drops all other prompts than these.
    pub(crate) fn keep_only(&mut self, names: &HashSet<String>) {
        let is_gone = |(name, entry): &(&Arc<str>, &TableEntry)| entry.state.is_some() && !names.contains(&***name);
        let gone: Vec<_> = self.by_name.iter().filter(is_gone).map(|(name, _)| Arc::clone(name)).collect();
        for name in gone {
            self.change(name, None);
        }
    }

    fn change(&mut self, name: Arc<str>, state: Option<PromptState>) {
        self.edition += 1;
        let entry = TableEntry { state, edition: self.edition };
        if let Some(before) = self.by_name.insert(Arc::clone(&name), entry) {
            self.changed.remove(&before.edition);
        }
        self.changed.insert(self.edition, name);
    }

    /// The names of the prompts that have changed since this edition, or are gone, each once, in the order of their last
    /// changes.
    pub(crate) fn changed_since(&self, edition: u64) -> Vec<String> {
        self.changed.range(edition.saturating_add(1)..).map(|(_, name)| name.to_string()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(name: &str, active: i32) -> PromptState {
        let prompt = v1::Prompt { name: name.into(), active_version_number: Some(active), ..v1::Prompt::default() };
        let version = v1::PromptVersion { version_number: active, ..v1::PromptVersion::default() };
        PromptState::new(prompt, vec![version])
    }

    fn names(table: &PromptTable) -> Vec<String> {
        let mut names: Vec<_> = table.states().map(|state| state.prompt.name.clone()).collect();
        names.sort();
        names
    }

    #[test]
    fn each_change_is_told_once_to_whoever_has_seen_less() {
        let mut table = PromptTable::of(vec![state("a", 1), state("b", 1)]);
        assert_eq!(
            (table.edition(), table.changed_since(0), table.changed_since(1)),
            (2, names(&table), vec!["b".into()])
        );
        let seen = table.edition();
        table.put(state("a", 1));
        assert!(table.changed_since(seen).is_empty(), "the same state is no change");
        for number in 2..50 {
            table.put(state("a", number));
        }
        table.put(state("c", 1));
        table.put(state("a", 99));
        assert_eq!(table.changed_since(seen), ["c", "a"]);
        assert_eq!(table.get("a").unwrap().version(None).unwrap().version_number, 99);
        assert_eq!(table.changed.len(), 3);
    }

    #[test]
    fn what_is_gone_is_told_and_may_come_again() {
        let mut table = PromptTable::of(vec![state("a", 1), state("b", 1), state("c", 1)]);
        let seen = table.edition();
        table.keep_only(&HashSet::from(["b".to_owned(), "d".to_owned()]));
        let mut gone = table.changed_since(seen);
        gone.sort();
        assert_eq!((gone, names(&table)), (vec!["a".into(), "c".into()], vec!["b".to_owned()]));
        let seen = table.edition();
        table.keep_only(&HashSet::from(["b".to_owned()]));
        assert_eq!(table.edition(), seen, "it is gone already");
        table.put(state("a", 1));
        assert_eq!((table.changed_since(seen), table.get("a").is_some()), (vec!["a".into()], true));
    }

    #[test]
    fn versions_are_found_by_label() {
        let label = |label: &str, version_number| v1::PromptLabel {
            label: label.into(),
            version_number,
            ..v1::PromptLabel::default()
        };
        let prompt = v1::Prompt {
            active_version_number: Some(2),
            labels: vec![label("staging", 3), label("lost", 9)],
            ..v1::Prompt::default()
        };
        let version = |version_number| v1::PromptVersion { version_number, ..v1::PromptVersion::default() };
        let state = PromptState::new(prompt, vec![version(2), version(3)]);
        for (label, expected) in [
            (None, Some(2)),
            (Some("active"), Some(2)),
            (Some("staging"), Some(3)),
            (Some("lost"), None),
            (Some("latest"), None),
        ] {
            assert_eq!(state.version(label).map(|version| version.version_number), expected, "{label:?}");
        }
        let draft = PromptState::new(v1::Prompt::default(), vec![]);
        assert!(draft.version(None).is_none());
    }
}
