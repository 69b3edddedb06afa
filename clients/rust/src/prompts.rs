use std::fmt;

use prompt_ledger_proto::v1;

use crate::calls::{Repeat, asked};
use crate::client::Client;
use crate::ledger_error::LedgerError;
use crate::pages::{Pages, listed, pages};

/// Registers, reads and changes prompts. Calls are made again while a failure may pass, within
/// [`Options::timeout`](crate::Options); a write that depends on the prompt's state, by an etag or `create_only`, and the removal of a
/// label only where the server had not begun with it.
///
/// A method that takes a name is the short form of one that takes the contract's request, for what only that can say, such as an etag,
/// who writes, or the least revision to read at: [`get`](Self::get) of [`get_prompt`](Self::get_prompt), [`label`](Self::label) of
/// [`set_label`](Self::set_label).
#[derive(Clone)]
pub struct Prompts(Client);

impl Client {
    /// The prompts of the project.
    #[must_use]
    pub fn prompts(&self) -> Prompts {
        Prompts(self.clone())
    }
}

impl Prompts {
    pub(crate) fn client(&self) -> &Client {
        &self.0
    }

    /// A prompt with its active version.
    ///
    /// # Errors
    ///
    /// `PROMPT_NOT_FOUND`, or that the server cannot be reached.
    pub async fn get(&self, name: impl Into<String>) -> Result<v1::GetPromptResponse, LedgerError> {
        self.get_prompt(v1::GetPromptRequest { name: name.into(), min_revision: None }).await
    }

    /// As [`get`](Self::get).
    ///
    /// # Errors
    ///
    /// `PROMPT_NOT_FOUND`, `REVISION_AHEAD`, or that the server cannot be reached.
    pub async fn get_prompt(&self, request: v1::GetPromptRequest) -> Result<v1::GetPromptResponse, LedgerError> {
        asked!(self.0, registry.get_prompt, request, self.0.timeout(), Repeat::Freely).await
    }

    /// The prompts of these names, in their order, each with its active version, or with the one that a label points at;
    /// and the names of which there is none.
    ///
    /// # Errors
    ///
    /// What the server refuses, or that it cannot be reached.
    pub async fn batch_get(
        &self,
        names: Vec<String>,
        label: impl Into<String>,
    ) -> Result<(Vec<v1::FoundPrompt>, Vec<String>), LedgerError> {
        self.batch_get_prompts(v1::BatchGetPromptsRequest { names, label: label.into(), min_revision: None }).await
    }

    /// As [`batch_get`](Self::batch_get).
    ///
    /// # Errors
    ///
    /// What the server refuses, such as `REVISION_AHEAD`, or that it cannot be reached.
    pub async fn batch_get_prompts(
        &self,
        mut request: v1::BatchGetPromptsRequest,
    ) -> Result<(Vec<v1::FoundPrompt>, Vec<String>), LedgerError> {
        let (mut found, mut missing) = (Vec::new(), Vec::new());
        loop {
            let asked = request.names.len();
            let answer =
                asked!(self.0, registry.batch_get_prompts, request.clone(), self.0.timeout(), Repeat::Freely).await?;
            found.extend(answer.found);
            missing.extend(answer.missing);
            request.names = answer.left_out;
            if request.names.is_empty() {
                return Ok((found, missing));
            }
            // Each answer has room for one at least.
            if request.names.len() >= asked {
                return Err(LedgerError::local(
                    tonic::Code::Internal,
                    "the server leaves out all the prompts that it is asked for",
                ));
            }
        }
    }

    /// The prompts that match, by name. The request's `page_size` is how many are fetched at once.
    #[must_use]
    pub fn list(&self, request: v1::ListPromptsRequest) -> Pages<v1::Prompt> {
        listed!(self.0, request, registry.list_prompts, prompts)
    }

    /// One version; the active one where the request selects none.
    ///
    /// # Errors
    ///
    /// `PROMPT_NOT_FOUND`, `VERSION_NOT_FOUND`, `LABEL_NOT_FOUND`, `NO_ACTIVE_VERSION`, or that the server cannot be reached.
    pub async fn version(&self, request: v1::GetVersionRequest) -> Result<v1::GetVersionResponse, LedgerError> {
        asked!(self.0, registry.get_version, request, self.0.timeout(), Repeat::Freely).await
    }

    /// A prompt's versions, the newest first; `page_size` is how many are fetched at once (0: 50).
    #[must_use]
    pub fn versions(&self, name: impl Into<String>, page_size: i32) -> Pages<v1::PromptVersion> {
        let request = v1::ListVersionsRequest { name: name.into(), page_size, page_token: String::new() };
        listed!(self.0, request, registry.list_versions, versions)
    }

    /// The same, each with the number of its executions.
    #[must_use]
    pub fn history(&self, name: impl Into<String>, page_size: i32) -> Pages<v1::PromptVersion> {
        self.prompt_history(v1::GetPromptHistoryRequest { name: name.into(), page_size, ..Default::default() })
    }

    /// As [`history`](Self::history); `MODE_MISMATCH` where the request names a mode that the prompt does not have.
    #[must_use]
    pub fn prompt_history(&self, request: v1::GetPromptHistoryRequest) -> Pages<v1::PromptVersion> {
        listed!(self.0, request, registry.get_prompt_history, versions)
    }

    /// What was changed on a prompt, the newest first.
    #[must_use]
    pub fn changes(&self, name: impl Into<String>, page_size: i32) -> Pages<v1::PromptChangeEntry> {
        self.list_changes(v1::ListPromptChangesRequest { name: name.into(), page_size, ..Default::default() })
    }

    /// What was changed, the newest first, of all prompts where the request names none. Its `page_size` is how many are fetched at once.
    #[must_use]
    pub fn list_changes(&self, request: v1::ListPromptChangesRequest) -> Pages<v1::PromptChangeEntry> {
        listed!(self.0, request, registry.list_prompt_changes, changes)
    }

    /// What an execution with these variables would send; nothing is recorded.
    ///
    /// # Errors
    ///
    /// `VARIABLES_MISSING`, or what else keeps it from being rendered, or that the server cannot be reached.
    pub async fn render(&self, request: v1::RenderPromptRequest) -> Result<v1::RenderPromptResponse, LedgerError> {
        asked!(self.0, registry.render_prompt, request, self.0.timeout(), Repeat::Freely).await
    }

    /// As [`render`](Self::render), of a content that is not stored: it is checked as if it was put, and the answer has no version.
    ///
    /// # Errors
    ///
    /// `TEMPLATE_INVALID`, `VARIABLES_MISSING`, or what else keeps it from being rendered, or that the server cannot be reached.
    pub async fn render_draft(
        &self,
        draft: v1::PromptDraft,
        variables: Option<prost_types::Struct>,
    ) -> Result<v1::RenderPromptResponse, LedgerError> {
        let selector = Some(v1::render_prompt_request::Selector::Draft(draft));
        self.render(v1::RenderPromptRequest { selector, variables, ..Default::default() }).await
    }
}

impl fmt::Debug for Prompts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Prompts")
    }
}
