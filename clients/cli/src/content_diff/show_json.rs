use serde_json::{Map, Value, json};

use super::fields::FieldDiff;
use super::line_diff::LineKind;
use super::{ContentDiff, ContentPlace};

/// What the documents of a comparison hold; for the help of commands that answer them.
pub(crate) const DIFF_FIELDS: &str = "`same` (whether nothing differs), `stat` (`added_lines`, `removed_lines`, \
`added_entries`, `removed_entries`, `changed_entries`, `config_values`) and `changes`, each with `path` (as config.params.temperature, \
config.tools.weather.description, chat_template.entries[2].message.content; places count from 0), `change` (added, removed or changed), \
`before` and `after` (the values, absent where there is none), for texts `added_lines` and `removed_lines`, and for an entry that has \
another place than before `before_entry` and `after_entry`";

impl ContentDiff {
    /// For scripts: an object with the fields of [`DIFF_FIELDS`].
    pub(crate) fn json(&self) -> Value {
        let stat = self.stat();
        let mut changes = Vec::new();
        for part in &self.parts {
            match &part.place {
                ContentPlace::Text => changes.extend(part.fields.iter().map(|field| change("template_source", field))),
                ContentPlace::Config => changes.extend(part.fields.iter().map(|field| change("config", field))),
                ContentPlace::Entry { before: Some((old, _)), after: Some((new, _)) } => {
                    for field in &part.fields {
                        let mut change = change(&format!("chat_template.entries[{new}]"), field);
                        if old != new {
                            change["before_entry"] = (*old).into();
                            change["after_entry"] = (*new).into();
                        }
                        changes.push(change);
                    }
                }
                ContentPlace::Entry { before, after } => {
                    let at = after.as_ref().or(before.as_ref()).map_or(0, |(at, _)| *at);
                    let entry = |entry: &Option<(usize, Value)>| entry.as_ref().map(|(_, entry)| entry.clone());
                    let (before, after) = (entry(before), entry(after));
                    let whole = FieldDiff { path: String::new(), before, after, lines: None };
                    changes.push(change(&format!("chat_template.entries[{at}]"), &whole));
                }
            }
        }
        json!({
            "same": self.is_empty(),
            "stat": {
                "added_lines": stat.added_lines, "removed_lines": stat.removed_lines,
                "added_entries": stat.added_entries, "removed_entries": stat.removed_entries,
                "changed_entries": stat.changed_entries, "config_values": stat.config_values,
            },
            "changes": changes,
        })
    }
}

fn change(part: &str, field: &FieldDiff) -> Value {
    let dot = if field.path.is_empty() || field.path.starts_with('[') { "" } else { "." };
    let mut change = Map::new();
    change.insert("path".into(), format!("{part}{dot}{}", field.path).into());
    let what = match (&field.before, &field.after) {
        (None, _) => "added",
        (_, None) => "removed",
        _ => "changed",
    };
    change.insert("change".into(), what.into());
    for (name, value) in [("before", &field.before), ("after", &field.after)] {
        change.extend(value.clone().map(|value| (name.to_owned(), value)));
    }
    if let Some(lines) = &field.lines {
        for (name, kind) in [("added_lines", LineKind::Added), ("removed_lines", LineKind::Removed)] {
            change.insert(name.into(), lines.count(kind).into());
        }
    }
    change.into()
}

#[cfg(test)]
mod tests {
    use super::super::compare;
    use super::super::tests::{content, message};
    use super::*;
    use crate::prompt_content::PromptContent;

    #[test]
    fn scripts_get_paths_and_values() {
        let before = content(json!([message("system", "a"), message("user", "x y z")]), json!({"params": {"seed": 1}}));
        let after = content(json!([message("user", "x y")]), json!({"params": {"seed": 2, "extra": {"a.b": true}}}));
        let diff = compare(Some(&before), &after).json();
        assert_eq!((&diff["same"], &diff["stat"]["config_values"]), (&false.into(), &2.into()));
        assert_eq!(
            diff["changes"],
            json!([
                {"path": "chat_template.entries[0]", "change": "removed", "before": message("system", "a")},
                {"path": "chat_template.entries[0].message.content", "change": "changed", "before": "x y z", "after": "x y",
                 "added_lines": 1, "removed_lines": 1, "before_entry": 1, "after_entry": 0},
                {"path": "config.params.extra[\"a.b\"]", "change": "added", "after": true},
                {"path": "config.params.seed", "change": "changed", "before": 1, "after": 2},
            ])
        );
        let same = compare(Some(&before), &before).json();
        assert_eq!((&same["same"], &same["changes"]), (&true.into(), &json!([])));
        let text = compare(Some(&PromptContent::text("a")), &PromptContent::text("b")).json();
        assert_eq!(text["changes"][0]["path"], "template_source");
    }
}
