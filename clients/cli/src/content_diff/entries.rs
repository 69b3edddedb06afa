//! Which entry of a chat became which.

use std::collections::HashMap;

use serde_json::Value;

/// Beyond this many pairs of entries they are paired by their place; a chat has 100 entries at most.
const MOST_PAIRS: usize = 40_000;
/// What two equal entries count, against at most 2 of entries that are not.
const EQUAL: f64 = 4.0;
/// From here on messages of two roles are one message whose role was changed.
const ALIKE: f64 = 0.5;

/// The entries in their order: one of both chats, or one that is only in the chat before, or only in the chat after.
pub(super) fn paired(before: &[Value], after: &[Value]) -> Vec<(Option<usize>, Option<usize>)> {
    if before.len().saturating_mul(after.len()) > MOST_PAIRS {
        let index = |all: &[Value], index| (index < all.len()).then_some(index);
        return (0..before.len().max(after.len())).map(|at| (index(before, at), index(after, at))).collect();
    }
    let (old, new): (Vec<_>, Vec<_>) =
        (before.iter().map(EntryWords::of).collect(), after.iter().map(EntryWords::of).collect());
    let likeness: Vec<Vec<f64>> = old.iter().map(|old| new.iter().map(|new| old.likeness(new)).collect()).collect();
    // best[i][j]: the most that the entries from i and from j on can count together.
    let mut best = vec![vec![0.0_f64; after.len() + 1]; before.len() + 1];
    let at = |best: &[Vec<f64>], i: usize, j: usize| best.get(i).and_then(|row| row.get(j)).copied().unwrap_or(0.0);
    let alike = |i: usize, j: usize| likeness.get(i).and_then(|row| row.get(j)).copied().unwrap_or(0.0);
    for i in (0..before.len()).rev() {
        for j in (0..after.len()).rev() {
            let pair = if alike(i, j) > 0.0 { alike(i, j) + at(&best, i + 1, j + 1) } else { 0.0 };
            let most = pair.max(at(&best, i + 1, j)).max(at(&best, i, j + 1));
            if let Some(cell) = best.get_mut(i).and_then(|row| row.get_mut(j)) {
                *cell = most;
            }
        }
    }
    let (mut i, mut j, mut pairs) = (0, 0, Vec::new());
    while i < before.len() || j < after.len() {
        let pair = alike(i, j) + at(&best, i + 1, j + 1);
        if i < before.len() && j < after.len() && alike(i, j) > 0.0 && pair >= at(&best, i, j) {
            pairs.push((Some(i), Some(j)));
            (i, j) = (i + 1, j + 1);
        } else if i < before.len() && (j == after.len() || at(&best, i + 1, j) >= at(&best, i, j + 1)) {
            pairs.push((Some(i), None));
            i += 1;
        } else {
            pairs.push((None, Some(j)));
            j += 1;
        }
    }
    pairs
}

/// What an entry is compared by.
struct EntryWords<'a> {
    entry: &'a Value,
    counts: HashMap<String, usize>,
    total: usize,
}

impl<'a> EntryWords<'a> {
    fn of(entry: &'a Value) -> Self {
        let text = entry.to_string();
        let mut counts = HashMap::new();
        let mut total = 0;
        for word in text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()) {
            *counts.entry(word.to_owned()).or_insert(0) += 1;
            total += 1;
        }
        Self { entry, counts, total }
    }

    fn role(&self) -> Option<&Value> {
        self.entry.get("message").map(|message| message.get("role").unwrap_or(&Value::Null))
    }

    /// 0 where the other one is no later form of this one.
    fn likeness(&self, other: &Self) -> f64 {
        if self.entry == other.entry {
            return EQUAL;
        }
        match (self.role(), other.role()) {
            (None, None) => 1.0,
            (Some(old), Some(new)) if old == new => 1.0 + self.share(other),
            (Some(_), Some(_)) => Some(self.share(other)).filter(|share| *share >= ALIKE).unwrap_or(0.0),
            _ => 0.0,
        }
    }

    /// How much of their words they have in common, from 0 to 1.
    fn share(&self, other: &Self) -> f64 {
        let both = |(word, count): (&String, &usize)| (*count).min(other.counts.get(word).copied().unwrap_or(0));
        let common: usize = self.counts.iter().map(both).sum();
        #[allow(clippy::cast_precision_loss, reason = "a share")]
        let share = 2.0 * common as f64 / (self.total + other.total).max(1) as f64;
        share
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn entry(text: &str) -> Value {
        match text.split_once(": ") {
            Some((role, content)) => json!({"message": {"role": role, "content": content}}),
            None => json!({"placeholder": text}),
        }
    }

    fn pairs(before: &[&str], after: &[&str]) -> String {
        let entries = |texts: &[&str]| texts.iter().map(|text| entry(text)).collect::<Vec<_>>();
        let number = |index: Option<usize>| index.map_or_else(|| "-".to_owned(), |index| index.to_string());
        let pairs = paired(&entries(before), &entries(after));
        pairs.into_iter().map(|(old, new)| number(old) + &number(new)).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn entries_are_paired_in_order_and_by_what_they_say() {
        let brief = "system: be brief and exact";
        for (before, after, expected) in [
            (&[brief, "user: {{q}}"][..], &[brief, "user: {{q}}"][..], "00 11"),
            (&[brief, "user: {{q}}"], &[brief, "history", "user: {{q}}"], "00 -1 12"),
            (&[brief, "history", "user: {{q}}"], &[brief, "user: {{q}}"], "00 1- 21"),
            (&[brief], &["system: all else"], "00"),
            (&["system: be brief"], &["developer: be brief"], "00"),
            (&["system: be brief"], &["user: what is it?"], "0- -0"),
            (&["history"], &["past"], "00"),
            (&["history"], &["user: history"], "0- -0"),
            (
                &["user: a b c d", "assistant: x y"],
                &["user: first", "assistant: second", "user: a b c e", "assistant: x y"],
                "-0 -1 02 13",
            ),
            (&[], &["history"], "-0"),
            (&["history"], &[], "0-"),
        ] {
            assert_eq!(pairs(before, after), expected, "{before:?} {after:?}");
        }
    }

    #[test]
    fn far_too_many_entries_are_paired_by_their_place() {
        let before: Vec<Value> = (0..300).map(|number| json!({"placeholder": number.to_string()})).collect();
        let pairs = paired(&before, &before[1..]);
        assert_eq!((pairs.len(), pairs[0], pairs[299]), (300, (Some(0), Some(0)), (Some(299), None)));
    }
}
