//! Prompts whose text lives in code: of tracking mode.

use std::collections::HashMap;
use std::sync::PoisonError;

use prompt_ledger_proto::v1;
use prompt_ledger_proto::v1::execution_spec::Selector;
use tonic::Code;

use crate::calls::{Repeat, asked};
use crate::client::Client;
use crate::executing::{RunOutcome, longest, ran, unique_key};
use crate::execution_handle::ExecutionHandle;
use crate::ledger_error::LedgerError;
use crate::watch::Updates;

/// The hashes of what was registered, by name.
pub(crate) type RegisteredHashes = HashMap<String, String>;

impl Client {
    /// Registers prompts whose text lives in code, such as [those of a folder](crate::code_prompts_from_folder). [`execute`](Self::execute),
    /// [`submit_code`](Self::submit_code) and [`stream_code`](Self::stream_code) then run these texts, whatever is registered later. With
    /// `dry_run` nothing is written, and the answer says what would be.
    ///
    /// # Errors
    ///
    /// What the server refuses, such as `TEMPLATE_HASH_MISMATCH`, or that it cannot be reached.
    pub async fn register_code_prompts(
        &self,
        request: v1::RegisterCodePromptsRequest,
    ) -> Result<v1::RegisterCodePromptsResponse, LedgerError> {
        let dry_run = request.dry_run;
        let limit = self.timeout();
        let answer = asked!(self, code_registration.register_code_prompts, request, limit, Repeat::Freely).await?;
        if !dry_run {
            let registered = answer.registered.iter().map(|prompt| (prompt.name.clone(), prompt.checksum_hash.clone()));
            self.registered().lock().unwrap_or_else(PoisonError::into_inner).extend(registered);
        }
        Ok(answer)
    }

    /// Executes the text that [`register_code_prompts`](Self::register_code_prompts) registered under this name, and waits for its end, as
    /// [`run`](Self::run) does. The spec needs no name and no selector: they are set here.
    ///
    /// # Errors
    ///
    /// Where this client has registered no such prompt; what keeps the execution from being recorded; or that the server
    /// cannot be reached. `Overloaded` is as for [`run`](Self::run).
    pub async fn execute(&self, name: &str, mut spec: v1::ExecutionSpec) -> Result<RunOutcome, LedgerError> {
        let hash = self.registered_hash(name).ok_or_else(|| {
            let problem = format!("this client has registered no prompt `{name}`; call register_code_prompts first");
            LedgerError::local(Code::FailedPrecondition, problem)
        })?;
        name.clone_into(&mut spec.prompt_name);
        spec.selector = Some(Selector::ChecksumHash(hash));
        let (limit, repeat) = (longest(&spec), Repeat::freely_if(!spec.idempotency_key.is_empty()));
        let request = v1::ExecuteCodePromptRequest { spec: Some(spec), mode: v1::ExecutionMode::Sync.into() };
        let answer = asked!(self, code_registration.execute_code_prompt, request, limit, repeat).await?;
        ran(answer.execution, answer.reused)
    }

    /// As [`Client::submit`], for a prompt whose text lives in code. Where the spec selects no version, it is the text that this client has
    /// registered under that name, else the active version.
    ///
    /// # Errors
    ///
    /// What keeps the execution from being recorded, such as `MODE_MISMATCH`, or that the server cannot be reached.
    pub async fn submit_code(&self, spec: v1::ExecutionSpec) -> Result<ExecutionHandle, LedgerError> {
        let mut spec = self.of_text_in_hand(spec);
        if spec.idempotency_key.is_empty() {
            spec.idempotency_key = unique_key()?;
        }
        let request = v1::ExecuteCodePromptRequest { spec: Some(spec), mode: v1::ExecutionMode::Async.into() };
        let limit = self.timeout();
        let answer = asked!(self, code_registration.execute_code_prompt, request, limit, Repeat::Freely).await?;
        let outcome = ran(answer.execution, answer.reused)?;
        let v1::Execution { execution_id, status, prompt_name, version_number, created_at, .. } = outcome.execution;
        let reused = outcome.reused;
        let submission =
            v1::SubmitExecutionResponse { execution_id, status, reused, prompt_name, version_number, created_at };
        Ok(ExecutionHandle::submitted(self.clone(), submission))
    }

    /// As [`Client::stream`], for a prompt whose text lives in code. Where the spec selects no version, it is the text that this client has
    /// registered under that name, else the active version.
    #[must_use]
    pub fn stream_code(&self, spec: v1::ExecutionSpec) -> Updates {
        self.begin(self.of_text_in_hand(spec), v1::PromptMode::Tracking)
    }

    fn of_text_in_hand(&self, mut spec: v1::ExecutionSpec) -> v1::ExecutionSpec {
        if spec.selector.is_none() {
            spec.selector = self.registered_hash(&spec.prompt_name).map(Selector::ChecksumHash);
        }
        spec
    }

    fn registered_hash(&self, name: &str) -> Option<String> {
        self.registered().lock().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }
}
