use std::fmt;

use super::line_diff::LineKind;
use super::{ContentDiff, ContentPlace, PartDiff};

/// How much differs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ContentStat {
    /// Lines of the text, or of the texts of all entries.
    pub(crate) added_lines: usize,
    pub(crate) removed_lines: usize,
    pub(crate) added_entries: usize,
    pub(crate) removed_entries: usize,
    pub(crate) changed_entries: usize,
    /// Values of the config that are added, removed or changed.
    pub(crate) config_values: usize,
}

impl ContentDiff {
    pub(crate) fn stat(&self) -> ContentStat {
        let mut stat = ContentStat::default();
        for part in &self.parts {
            match &part.place {
                ContentPlace::Text => {}
                ContentPlace::Entry { before: None, .. } => stat.added_entries += 1,
                ContentPlace::Entry { after: None, .. } => stat.removed_entries += 1,
                ContentPlace::Entry { .. } => stat.changed_entries += 1,
                ContentPlace::Config => {
                    stat.config_values += part.fields.len();
                    continue;
                }
            }
            stat.added_lines += lines(part, LineKind::Added);
            stat.removed_lines += lines(part, LineKind::Removed);
        }
        stat
    }
}

fn lines(part: &PartDiff, kind: LineKind) -> usize {
    part.fields.iter().filter_map(|field| field.lines.as_ref()).map(|lines| lines.count(kind)).sum()
}

/// One line, such as `2 lines added, 1 removed; 1 entry changed; 3 values of the config`.
impl fmt::Display for ContentStat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let group = |noun: (&str, &str), counts: &[(usize, &str)]| {
            let mut counts = counts.iter().filter(|(count, _)| *count > 0);
            let (first, what) = counts.next()?;
            let noun = if *first == 1 { noun.0 } else { noun.1 };
            let others = counts.map(|(count, what)| format!(", {count} {what}"));
            Some(format!("{first} {noun} {what}{}", others.collect::<String>()))
        };
        let lines = group(("line", "lines"), &[(self.added_lines, "added"), (self.removed_lines, "removed")]);
        let entries = group(
            ("entry", "entries"),
            &[(self.added_entries, "added"), (self.removed_entries, "removed"), (self.changed_entries, "changed")],
        );
        let config = group(("value", "values"), &[(self.config_values, "of the config")]);
        let groups: Vec<String> = [lines, entries, config].into_iter().flatten().collect();
        f.write_str(if groups.is_empty() { "no difference" } else { "" })?;
        f.write_str(&groups.join("; "))
    }
}

#[cfg(test)]
mod tests {
    use super::super::compare;
    use super::super::tests::{content, message};
    use crate::prompt_content::PromptContent;
    use serde_json::json;

    fn told(before: &PromptContent, after: &PromptContent) -> String {
        compare(Some(before), after).stat().to_string()
    }

    #[test]
    fn what_differs_is_counted() {
        let text = PromptContent::text;
        assert_eq!(told(&text("a\nb\n"), &text("a\nc\nd\n")), "2 lines added, 1 removed");
        assert_eq!(told(&text("a\n"), &text("a\nb\n")), "1 line added");
        assert_eq!(told(&text("a"), &text("a")), "no difference");
        let before = content(json!([message("system", "a"), message("user", "x")]), json!({"params": {"seed": 1}}));
        let after = content(json!([message("system", "b"), {"placeholder": "p"}]), json!({"params": {"top_k": 1}}));
        assert_eq!(
            told(&before, &after),
            "1 line added, 2 removed; 1 entry added, 1 removed, 1 changed; 2 values of the config"
        );
    }
}
