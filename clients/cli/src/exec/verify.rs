use std::process::ExitCode;

use clap::Args;
use prompt_ledger_client::v1;
use v1::VerificationResult as Verified;
use v1::render_prompt_request::Selector;

use crate::connection::LedgerConnection;
use crate::contract_json;
use crate::failure::{CommandError, NO};
use crate::output::{AnswerFormat, Output};
use crate::style::Tone;
use crate::table::Cell;

/// Renders an execution again and compares.
#[derive(Args)]
#[command(after_help = "Examples:
  ledgerctl exec verify 0190163d-8694-739b-aea5-966c26f8ad91
  ledgerctl exec verify 0190163d-8694-739b-aea5-966c26f8ad91 --json | jq -r .result

The ledger renders the stored version with the stored variables again, and compares the bytes with those that were sent.
Exit code: 0 where they are the same, and where ready messages were sent, so that there is nothing to compare; 1 where they differ.

Under --json and --jsonl it is a VerifyExecutionResponse of the contract.")]
pub(crate) struct ExecVerifyArgs {
    /// The id, as `ledgerctl exec submit` answered it and `ledgerctl tail` shows it
    #[arg(value_name = "EXECUTION")]
    execution: String,
}

/// Bytes of the text that are shown before and behind the first difference.
const AROUND: usize = 40;

impl ExecVerifyArgs {
    pub(crate) async fn run(
        self,
        connection: &LedgerConnection,
        output: &mut Output<'_>,
    ) -> Result<ExitCode, CommandError> {
        let request = v1::VerifyExecutionRequest { execution_id: self.execution.clone() };
        let verified = connection
            .ask(request, |client, request| async move { client.executions().verify_execution(request).await })
            .await?;
        let code = match verified.result() {
            Verified::Match | Verified::NotRendered => ExitCode::SUCCESS,
            Verified::Mismatch | Verified::Unspecified => ExitCode::from(NO),
        };
        if output.format != AnswerFormat::Text {
            output.json(&contract_json::write("VerifyExecutionResponse", &verified))?;
            return Ok(code);
        }
        show(&verified, output)?;
        let offset = verified.first_difference_offset.and_then(|offset| usize::try_from(offset).ok());
        if let Some(offset) = offset {
            differs(self.execution, offset, connection, output).await?;
        }
        Ok(code)
    }
}

/// Shows the text that was sent, and the one that is rendered now, from the first difference on; nothing of chats.
async fn differs(
    id: String,
    offset: usize,
    connection: &LedgerConnection,
    output: &mut Output<'_>,
) -> Result<(), CommandError> {
    let sent = connection.client.handle(id).get().await.map_err(|error| connection.failed(error))?;
    let request = v1::RenderPromptRequest {
        name: sent.prompt_name,
        selector: Some(Selector::VersionNumber(sent.version_number)),
        variables: sent.variables,
        min_revision: None,
    };
    // What does not render was told as the difference.
    let now = connection.client.prompts().render(request).await.map(|now| now.rendered_prompt).unwrap_or_default();
    for (name, text) in [("sent", &sent.rendered_prompt), ("now", &now)] {
        if let Some((before, behind)) = around(text, offset) {
            let name = Cell::new(Tone::Dim, format!("  {name:4}  …"));
            output.cells(&[name, before.into(), Cell::new(Tone::Bad, behind), "…".into()])?;
        }
    }
    Ok(())
}

fn show(verified: &v1::VerifyExecutionResponse, output: &mut Output<'_>) -> Result<(), CommandError> {
    let (tone, word, what) = match verified.result() {
        Verified::Match => (Tone::Good, "match", "rendering it again gives the bytes that were sent"),
        Verified::NotRendered => (Tone::Plain, "not rendered", "ready messages were sent: there is nothing to compare"),
        Verified::Mismatch | Verified::Unspecified => (Tone::Bad, "mismatch", &*verified.explanation),
    };
    output.cells(&[Cell::new(tone, word), format!("  {what}").into()])?;
    let at = verified.first_difference_offset.map(|offset| offset.to_string()).unwrap_or_default();
    for (name, value) in [
        ("version", &*verified.version_number.to_string()),
        ("registered content", &verified.checksum_hash),
        ("stored content now", &verified.computed_checksum_hash),
        ("sent", &verified.sent_prompt_sha256),
        ("rendered now", &verified.rendered_prompt_sha256),
        ("first different byte", &*at),
    ] {
        if !value.is_empty() {
            output.cells(&[Cell::new(Tone::Dim, format!("  {name:20}  ")), value.into()])?;
        }
    }
    Ok(())
}

/// The text before a byte, and from it on; absent where the text has no such byte.
fn around(text: &str, offset: usize) -> Option<(&str, &str)> {
    let at = text.floor_char_boundary(offset);
    let begin = text.floor_char_boundary(at.saturating_sub(AROUND));
    let end = text.ceil_char_boundary(at.saturating_add(AROUND).min(text.len()));
    (offset < text.len()).then_some((text.get(begin..at)?, text.get(at..end)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_difference_is_shown_with_what_is_around_it() {
        assert_eq!(around("hällo", 2), Some(("h", "ällo")));
        assert_eq!(around("abc", 3), None);
        let long = "a".repeat(100);
        let (before, behind) = around(&long, 60).unwrap();
        assert_eq!((before.len(), behind.len()), (AROUND, 40));
    }

    #[test]
    fn each_result_is_a_word_and_what_it_means() {
        let shown = |result: Verified, offset| {
            let mut shown = Vec::new();
            let verified = v1::VerifyExecutionResponse {
                result: result.into(),
                explanation: "the text differs".into(),
                version_number: 3,
                first_difference_offset: offset,
                ..Default::default()
            };
            show(&verified, &mut Output::of(&mut shown, std::io::sink(), AnswerFormat::Text)).unwrap();
            String::from_utf8(shown).unwrap()
        };
        assert!(shown(Verified::Match, None).starts_with("match  rendering it again"));
        assert!(shown(Verified::NotRendered, None).starts_with("not rendered  ready messages"));
        let mismatch = shown(Verified::Mismatch, Some(7));
        assert_eq!(mismatch, "mismatch  the text differs\n  version               3\n  first different byte  7\n");
    }
}
