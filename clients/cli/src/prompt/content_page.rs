//! A content on a page: its config, then the text, or the chat entry by entry.

use prompt_ledger_client::v1;
use v1::chat_template_entry::Entry;

use crate::content_diff;
use crate::facts::{self, Fact, first_heading, heading};
use crate::failure::CommandError;
use crate::message_page;
use crate::output::Output;
use crate::prompt_content::{ContentTemplate, PromptContent};
use crate::style::Tone;
use crate::table::Cell;

/// Whether `{{variables}}` are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum TextKind {
    Template,
    Rendered,
}

pub(crate) fn show(content: &PromptContent, output: &mut Output<'_>) -> Result<(), CommandError> {
    if let Some(config) = &content.config {
        show_config(config, output)?;
    }
    match &content.template {
        ContentTemplate::Text(text) => {
            heading("text", output)?;
            show_text(text, TextKind::Template, output)
        }
        ContentTemplate::Chat(chat) => {
            for (index, entry) in chat.entries.iter().enumerate() {
                match &entry.entry {
                    Some(Entry::Message(message)) => {
                        heading(&format!("{} {}", index + 1, message_page::title(message)), output)?;
                        show_message(message, TextKind::Template, output)?;
                    }
                    Some(Entry::Placeholder(name)) => heading(&format!("{} placeholder {name}", index + 1), output)?,
                    None => heading(&format!("{} of a kind that this ledgerctl does not know", index + 1), output)?,
                }
            }
            Ok(())
        }
    }
}

/// Writes a config, a value in each line.
pub(crate) fn show_config(config: &v1::VersionConfig, output: &mut Output<'_>) -> Result<(), CommandError> {
    let values = content_diff::config_values(config);
    if values.is_empty() {
        return Ok(());
    }
    heading("config", output)?;
    facts::show(values.into_iter().map(|(path, value)| Fact::new(path, value)).collect(), output)
}

/// Writes rendered messages.
pub(crate) fn show_messages(messages: &[v1::ChatMessage], output: &mut Output<'_>) -> Result<(), CommandError> {
    for (index, message) in messages.iter().enumerate() {
        let title = format!("{} {}", index + 1, message_page::title(message));
        let begin = if index == 0 { first_heading } else { heading };
        begin(&title, output)?;
        show_message(message, TextKind::Rendered, output)?;
    }
    Ok(())
}

fn show_message(message: &v1::ChatMessage, kind: TextKind, output: &mut Output<'_>) -> Result<(), CommandError> {
    message_page::show(message, |text, output| show_text(text, kind, output), output)
}

fn show_text(text: &str, kind: TextKind, output: &mut Output<'_>) -> Result<(), CommandError> {
    for line in text.split_inclusive('\n') {
        let line = line.strip_suffix('\n').unwrap_or(line);
        match kind {
            TextKind::Template => output.text_cells(&template_cells(line))?,
            TextKind::Rendered => output.text_cells(&[line.into()])?,
        }
    }
    Ok(())
}

/// The line with its tags as pieces of their own.
fn template_cells(mut line: &str) -> Vec<Cell> {
    let mut cells = Vec::new();
    while let Some((before, tag)) = line.find("{{").and_then(|start| line.split_at_checked(start)) {
        let end = tag.find("}}").map_or(tag.len(), |end| {
            let rest = tag.get(end..).unwrap_or_default();
            end + rest.len() - rest.trim_start_matches('}').len()
        });
        let Some((tag, rest)) = tag.split_at_checked(end) else { break };
        cells.push(before.into());
        cells.push(Cell::new(Tone::Accent, tag));
        line = rest;
    }
    cells.push(line.into());
    cells
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract_json;
    use crate::output::AnswerFormat;
    use serde_json::json;

    #[test]
    fn tags_are_told_apart() {
        for (line, expected) in [
            ("Hi {{name}}!", &["Hi ", "*{{name}}", "!"][..]),
            ("{{{a}}}{{b}}", &["", "*{{{a}}}", "", "*{{b}}", ""]),
            ("no tag", &["no tag"]),
            ("open {{#if", &["open ", "*{{#if", ""]),
            ("", &[""]),
        ] {
            let cells = template_cells(line);
            let told = |cell: &Cell| format!("{}{}", if cell.tone == Tone::Accent { "*" } else { "" }, cell.text);
            assert_eq!(cells.iter().map(told).collect::<Vec<_>>(), expected, "{line}");
        }
    }

    #[test]
    fn a_chat_is_shown_entry_by_entry_behind_its_config() {
        let chat = json!({"entries": [
            {"message": {"role": "system", "content": "Be\n\tbrief."}},
            {"placeholder": "history"},
            {"message": {"role": "user", "name": "ada", "parts": [
                {"text": "What is it?"}, {"image": {"url": "https://x/{{id}}.png", "detail": "low"}},
                {"image": {"data": "AAAA", "media_type": "image/png"}}]}},
            {"message": {"role": "assistant", "tool_calls": [{"id": "c1", "name": "look", "arguments": "{}"}]}},
            {"message": {"role": "tool", "tool_call_id": "c1", "content": "a cat"}},
        ]});
        let config = json!({
            "model": {"provider": "echo", "model_name": "echo"},
            "params": {"temperature": 0.0, "stop": {"values": ["END"]}},
            "tools": [{"name": "look", "description": "Looks.", "parameters_json": "{\"type\":\"object\"}"}],
        });
        let content = PromptContent {
            template: ContentTemplate::Chat(contract_json::read("ChatTemplate", chat).unwrap()),
            config: Some(contract_json::read("VersionConfig", config).unwrap()),
        };
        let mut shown = Vec::new();
        show(&content, &mut Output::of(&mut shown, std::io::sink(), AnswerFormat::Text)).unwrap();
        let expected = r#"
── config
  model                       echo/echo
  params.stop.values          ["END"]
  params.temperature          0
  tools.look.description      Looks.
  tools.look.name             look
  tools.look.parameters_json  {
                                "type": "object"
                              }

── 1 system
Be
	brief.

── 2 placeholder history

── 3 user (ada)
What is it?
image: https://x/{{id}}.png, detail low
image: 3 bytes, image/png

── 4 assistant
calls look  c1
  {}

── 5 tool, answers the call c1
a cat
"#;
        assert_eq!(String::from_utf8(shown).unwrap(), expected);
    }
}
