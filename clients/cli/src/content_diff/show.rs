use serde_json::Value;

use super::fields::FieldDiff;
use super::line_diff::{DiffHunk, DiffLine, LineDiff, LineKind};
use super::{ContentDiff, ContentPlace, PartDiff};
use crate::contract_json::short;
use crate::style::Tone;
use crate::table::Cell;

impl ContentDiff {
    /// For people, a line each. Changed lines of a text stand with up to `context` unchanged ones around; what is new or removed as a
    /// whole is shown whole.
    pub(crate) fn lines(&self, context: usize) -> Vec<Vec<Cell>> {
        self.parts.iter().flat_map(|part| part_lines(part, context)).collect()
    }
}

fn part_lines(part: &PartDiff, context: usize) -> Vec<Vec<Cell>> {
    let fields = match &part.place {
        ContentPlace::Text | ContentPlace::Config => part.fields.iter().collect(),
        ContentPlace::Entry { before, after } => {
            // The heading says the role, or the placeholder's name, of what is new or gone.
            let in_heading = |field: &&FieldDiff| {
                !(before.is_none() || after.is_none()) || !matches!(&*field.path, "message.role" | "placeholder")
            };
            part.fields.iter().filter(in_heading).collect::<Vec<_>>()
        }
    };
    let fields = fields.into_iter().flat_map(|field| field_lines(field, context));
    std::iter::once(heading(&part.place)).chain(fields).collect()
}

fn heading(place: &ContentPlace) -> Vec<Cell> {
    let strong = |text: String| Cell::new(Tone::Strong, text);
    match place {
        ContentPlace::Text => vec![strong("text".into())],
        ContentPlace::Config => vec![strong("config".into())],
        ContentPlace::Entry { before, after } => {
            let Some((at, entry)) = after.as_ref().or(before.as_ref()) else { return Vec::new() };
            let mut cells = vec![strong(format!("entry {}", at + 1)), Cell::from(format!(" ({})", title(entry)))];
            cells.push(match (before, after) {
                (None, _) => Cell::new(Tone::Good, " added"),
                (_, None) => Cell::new(Tone::Bad, " removed"),
                (Some((old, _)), Some((new, _))) if old != new => {
                    Cell::new(Tone::Dim, format!(" changed, was entry {}", old + 1))
                }
                _ => Cell::new(Tone::Dim, " changed"),
            });
            cells
        }
    }
}

/// The role of a message, or `placeholder` with its name.
fn title(entry: &Value) -> String {
    let text = |value: Option<&Value>| value.and_then(Value::as_str).unwrap_or_default().to_owned();
    match entry.get("placeholder") {
        Some(name) => format!("placeholder {}", text(Some(name))),
        None => text(entry.pointer("/message/role")),
    }
}

fn field_lines(field: &FieldDiff, context: usize) -> Vec<Vec<Cell>> {
    let label = field.path.strip_prefix("message.").unwrap_or(&field.path);
    let (tone, sign) = match (&field.before, &field.after) {
        (None, _) => (Tone::Good, "+ "),
        (_, None) => (Tone::Bad, "- "),
        _ => (Tone::Plain, "  "),
    };
    if let Some(lines) = &field.lines {
        let is_change = field.before.is_some() && field.after.is_some();
        let own = text_lines(lines, context, is_change);
        // The text of a prompt or a message needs no name.
        let label = Some(label).filter(|label| !matches!(*label, "" | "content"));
        let label = label.map(|label| vec![Cell::new(tone, format!("{sign}{label}:"))]);
        return label.into_iter().chain(own).collect();
    }
    let show = |value: &Option<Value>| value.as_ref().map(|value| shown(label, value));
    vec![match (show(&field.before), show(&field.after)) {
        (Some(old), Some(new)) => {
            let other = if old == new { " (other bytes)" } else { "" };
            vec![
                Cell::from(format!("{sign}{label}: ")),
                Cell::new(Tone::Bad, old),
                Cell::new(Tone::Dim, " -> "),
                Cell::new(Tone::Good, new + other),
            ]
        }
        (old, new) => vec![Cell::new(tone, format!("{sign}{label}: {}", new.or(old).unwrap_or_default()))],
    }]
}

/// A value in one line. Of an image the size is shown.
fn shown(label: &str, value: &Value) -> String {
    match value.as_str() {
        Some(data) if label.ends_with(".data") => format!("{} bytes", data.trim_end_matches('=').len() * 3 / 4),
        _ => short(value),
    }
}

fn text_lines(diff: &LineDiff, context: usize, is_change: bool) -> Vec<Vec<Cell>> {
    let hunks = diff.hunks(if is_change { context } else { usize::MAX });
    let ends = |other: LineKind| diff.lines.iter().rfind(|line| line.kind != other).is_none_or(|line| line.ends);
    let tells_ends = is_change && ends(LineKind::Added) != ends(LineKind::Removed);
    let mut shown = Vec::new();
    for hunk in hunks {
        if hunk.lines != (0..diff.lines.len()) {
            shown.push(vec![Cell::new(Tone::Accent, place(&hunk))]);
        }
        for line in diff.lines.get(hunk.lines).unwrap_or_default() {
            shown.push(text_line(line));
            if tells_ends && !line.ends && line.kind != LineKind::Same {
                shown.push(vec![Cell::new(Tone::Dim, "\\ no newline at the end")]);
            }
        }
    }
    shown
}

fn place(hunk: &DiffHunk) -> String {
    let ((old, old_lines), (new, new_lines)) = (hunk.before, hunk.after);
    format!("@@ -{old},{old_lines} +{new},{new_lines} @@")
}

fn text_line(line: &DiffLine) -> Vec<Cell> {
    let (sign, tone, mark) = match line.kind {
        LineKind::Same => ("  ", Tone::Plain, Tone::Plain),
        LineKind::Removed => ("- ", Tone::Bad, Tone::Removed),
        LineKind::Added => ("+ ", Tone::Good, Tone::Added),
    };
    let pieces = line.pieces.iter().map(|(marked, text)| Cell::new(if *marked { mark } else { tone }, text.as_str()));
    std::iter::once(Cell::new(tone, sign)).chain(pieces).collect()
}

#[cfg(test)]
mod tests {
    use super::super::compare;
    use super::super::tests::{content, message};
    use super::*;
    use crate::prompt_content::PromptContent;
    use serde_json::json;

    fn told(before: Option<&PromptContent>, after: &PromptContent) -> Vec<String> {
        let lines = compare(before, after).lines(1);
        lines.iter().map(|cells| cells.iter().map(|cell| cell.text.as_str()).collect()).collect()
    }

    #[test]
    fn texts_are_shown_in_hunks_with_their_places() {
        let lines = told(Some(&PromptContent::text("a\nb\nc\nd\n")), &PromptContent::text("a\nB\nc\nd"));
        assert_eq!(lines, ["text", "  a", "- b", "+ B", "  c", "- d", "+ d", "\\ no newline at the end"]);
        let lines = told(Some(&PromptContent::text("a\nb\nc\nd\ne\n")), &PromptContent::text("a\nb\nc\nd\nE\n"));
        assert_eq!(lines, ["text", "@@ -4,2 +4,2 @@", "  d", "- e", "+ E"]);
        assert_eq!(told(None, &PromptContent::text("a\nb")), ["text", "+ a", "+ b"]);
        assert_eq!(told(None, &PromptContent::text("")), ["text"]);
    }

    #[test]
    fn entries_and_values_are_named() {
        let before = content(
            json!([message("system", "be brief"), message("user", "{{q}}"), {"placeholder": "history"}]),
            json!({"params": {"temperature": 0.2, "seed": 7, "max_new_tokens": 5}, "tools": [
                {"name": "weather", "parameters_json": "{\"a\":1}"}]}),
        );
        let after = content(
            json!([message("system", "be brief"), message("developer", "x"), message("user", "{{q}}!")]),
            json!({"params": {"temperature": 0.7, "max_new_tokens": 5, "extra": {"n": 1}}, "tools": [
                {"name": "weather", "parameters_json": "{\"a\":2}"}, {"name": "time"}]}),
        );
        assert_eq!(
            told(Some(&before), &after),
            [
                "entry 2 (developer) added",
                "+ x",
                "entry 3 (user) changed, was entry 2",
                "- {{q}}",
                "+ {{q}}!",
                "entry 3 (placeholder history) removed",
                "config",
                "+ params.extra.n: 1",
                "- params.seed: 7",
                "  params.temperature: 0.2 -> 0.7",
                "+ tools.time.name: time",
                "  tools.weather.parameters_json:",
                "  {",
                "-   \"a\": 1",
                "+   \"a\": 2",
                "  }",
            ]
        );
    }

    #[test]
    fn images_are_told_by_their_size() {
        let image = |data: &str| {
            let part = json!({"image": {"data": data, "media_type": "image/png"}});
            content(json!([{"message": {"role": "user", "parts": [part]}}]), json!({}))
        };
        let lines = told(Some(&image("AAAA")), &image("AAAB"));
        assert_eq!(lines, ["entry 1 (user) changed", "  parts[0].image.data: 3 bytes -> 3 bytes (other bytes)"]);
        assert!(told(None, &image("AA==")).contains(&"+ parts[0].image.data: 1 bytes".to_owned()));
    }

    #[test]
    fn changed_words_have_a_tone_of_their_own() {
        let diff = compare(Some(&PromptContent::text("be brief\n")), &PromptContent::text("be short\n")).lines(3);
        let cells: Vec<_> = diff[1].iter().map(|cell| (cell.tone, cell.text.as_str())).collect();
        assert_eq!(cells, [(Tone::Bad, "- "), (Tone::Bad, "be "), (Tone::Removed, "brief")]);
        assert_eq!(diff[2].last(), Some(&Cell::new(Tone::Added, "short")));
    }
}
