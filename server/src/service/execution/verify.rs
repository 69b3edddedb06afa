//! Compares an execution with the version that it was rendered from.

use prompt_ledger_domain::Result;
use prompt_ledger_domain::error::Error;
use prompt_ledger_domain::execution::{Execution, ExecutionTexts};
use prompt_ledger_domain::ids::ExecutionId;
use prompt_ledger_domain::prompt::Version;
use prompt_ledger_template::verification::{self, SentInput, Verification};

use super::ExecutionService;
use crate::service::Caller;
use crate::service::cpu_pool::GoOn;

impl ExecutionService {
    /// Renders an execution's version again, from what is stored alone, and compares the result with what was sent.
    pub async fn verify(&self, caller: &Caller, id: ExecutionId) -> Result<(Execution, Version, Verification)> {
        let project = caller.project.id;
        let execution = self.reader.get(project, id).await?;
        let version = self.registry.stored(project, &execution.prompt_name, execution.version_number).await?;
        let texts = execution.texts.clone().ok_or_else(|| Error::internal("an execution came without its texts"))?;
        // Without what was sent: that is bounded by the limit of a prompt.
        let bytes = texts.variables.len() + version.content.bytes();
        let stored = version.clone();
        let verify = move |go_on: GoOn<'_>| {
            let ExecutionTexts { input, is_rendered_chat, variables, .. } = &texts;
            let sent = SentInput { input, is_rendered_chat: *is_rendered_chat, variables };
            verification::verify(sent, &stored, go_on)
        };
        let verification = self.cpu.run_inline_if_short(project, bytes, verify).await?;
        Ok((execution, version, verification))
    }
}
