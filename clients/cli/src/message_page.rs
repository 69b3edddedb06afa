//! A message of a chat on a page.

use prompt_ledger_client::v1;
use v1::content_part::Part;
use v1::image_part::Source;

use crate::failure::CommandError;
use crate::output::Output;
use crate::style::Tone;
use crate::table::Cell;

/// Who says it, as `user (ada)` or `tool, answers the call c1`.
pub(crate) fn title(message: &v1::ChatMessage) -> String {
    let mut title = message.role.clone();
    if !message.name.is_empty() {
        title.push_str(&format!(" ({})", message.name));
    }
    if !message.tool_call_id.is_empty() {
        title.push_str(&format!(", answers the call {}", message.tool_call_id));
    }
    title
}

/// Writes what the message says, and which tools it calls. `show_text` writes a text of it.
pub(crate) fn show(
    message: &v1::ChatMessage,
    show_text: impl Fn(&str, &mut Output<'_>) -> Result<(), CommandError>,
    output: &mut Output<'_>,
) -> Result<(), CommandError> {
    show_text(&message.content, output)?;
    for part in &message.parts {
        match &part.part {
            Some(Part::Text(text)) => show_text(text, output)?,
            Some(Part::Image(image)) => output.cells(&[Cell::new(Tone::Accent, image_line(image))])?,
            None => output.cells(&[Cell::new(Tone::Dim, "a part of a kind that this ledgerctl does not know")])?,
        }
    }
    show_tool_calls(&message.tool_calls, output)
}

/// Writes the tools that the model asked for, with the arguments as it wrote them.
pub(crate) fn show_tool_calls(calls: &[v1::ToolCall], output: &mut Output<'_>) -> Result<(), CommandError> {
    for call in calls {
        let id = format!("  {}", call.id);
        output.cells(&[
            Cell::new(Tone::Dim, "calls "),
            Cell::new(Tone::Accent, &*call.name),
            Cell::new(Tone::Dim, id),
        ])?;
        for line in call.arguments.lines() {
            output.line(&format!("  {line}"))?;
        }
    }
    Ok(())
}

fn image_line(image: &v1::ImagePart) -> String {
    let source = match &image.source {
        Some(Source::Url(url)) => url.clone(),
        Some(Source::Data(data)) => format!("{} bytes", data.len()),
        None => "of a kind that this ledgerctl does not know".to_owned(),
    };
    let detail = if image.detail.is_empty() { String::new() } else { format!("detail {}", image.detail) };
    let facts = [source, image.media_type.clone(), detail];
    let facts: Vec<String> = facts.into_iter().filter(|fact| !fact.is_empty()).collect();
    format!("image: {}", facts.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::AnswerFormat;

    #[test]
    fn tool_calls_are_readable_and_cannot_forge_a_line() {
        let mut shown = Vec::new();
        let call = |name: &str, arguments: &str| v1::ToolCall {
            id: "c1".into(),
            name: name.into(),
            arguments: arguments.into(),
        };
        let calls = [call("weather", r#"{"city":"Oslo"}"#), call("odd", "not\u{1b}json")];
        show_tool_calls(&calls, &mut Output::of(&mut shown, std::io::sink(), AnswerFormat::Text)).unwrap();
        let shown = String::from_utf8(shown).unwrap();
        assert_eq!(shown, "calls weather  c1\n  {\"city\":\"Oslo\"}\ncalls odd  c1\n  not\\u{1b}json\n");
    }
}
