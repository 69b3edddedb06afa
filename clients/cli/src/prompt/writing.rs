//! What commands that write to a prompt have in common.

use clap::Args;

use crate::failure::CommandError;
use crate::output::Output;

/// Who writes, and on what condition.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct WritingArgs {
    #[command(flatten)]
    author: AuthorArgs,
    /// Only where nobody has written to the prompt since it had this etag, as `ledgerctl prompt get` shows it
    #[arg(long, value_name = "ETAG")]
    pub(crate) if_etag: Option<String>,
}

/// Who writes.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct AuthorArgs {
    /// Who does this, for the change log, beside the key; absent: the user of this machine, as USER names them
    #[arg(long, value_name = "WHO")]
    created_by: Option<String>,
}

impl WritingArgs {
    pub(crate) fn created_by(&self) -> String {
        self.author.name()
    }
}

impl AuthorArgs {
    /// Empty where nobody is named.
    pub(crate) fn name(&self) -> String {
        self.created_by.clone().or_else(|| std::env::var("USER").ok()).unwrap_or_default()
    }
}

/// Answers a write: with the contract's message for scripts, with the line for people.
pub(crate) fn answer(
    output: &mut Output<'_>,
    name: &str,
    message: &impl prost::Message,
    line: &str,
) -> Result<(), CommandError> {
    if output.format == crate::output::Format::Text {
        output.line(line)?;
    } else {
        output.json(&crate::contract_json::write(name, message))?;
    }
    Ok(())
}
