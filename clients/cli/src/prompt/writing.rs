//! What commands that write to a prompt have in common.

use clap::Args;

use crate::contract_json;
use crate::created_by::CreatedByArgs;
use crate::failure::CommandError;
use crate::output::{AnswerFormat, Output};

/// Who writes, and on what condition.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct WritingArgs {
    #[command(flatten)]
    created_by: CreatedByArgs,
    /// Only where nobody has written to the prompt since it had this etag, as `ledgerctl prompt get` shows it
    #[arg(long, value_name = "ETAG")]
    pub(crate) if_etag: Option<String>,
}

impl WritingArgs {
    /// Empty: nobody is named.
    pub(crate) fn created_by(&self) -> String {
        self.created_by.clone().name()
    }
}

/// Answers a write: with the contract's message for scripts, with the line for people.
pub(crate) fn answer(
    output: &mut Output<'_>,
    name: &str,
    message: &impl prost::Message,
    line: &str,
) -> Result<(), CommandError> {
    if output.format == AnswerFormat::Text {
        output.line(line)?;
    } else {
        output.json(&contract_json::write(name, message))?;
    }
    Ok(())
}
