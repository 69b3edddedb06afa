use std::fmt;

use prompt_ledger_proto::v1;

use crate::calls::{Repeat, call};
use crate::client::Client;
use crate::ledger_error::LedgerError;
use crate::pages::{Pages, pages};

/// Registers, reads and changes prompts. Calls are made again while a failure may pass, within
/// [`Options::timeout`](crate::Options); a write that depends on the prompt's state, by an etag or `create_only`, only where the server
/// had not begun with it.
#[derive(Clone)]
pub struct Prompts(Client);

impl Client {
    /// The prompts of the project.
    #[must_use]
    pub fn prompts(&self) -> Prompts {
        Prompts(self.clone())
    }
}

/// A call of the registry: the request, whether it may be repeated freely, the method.
macro_rules! asked {
    ($prompts:expr, $request:expr, $repeat:expr, $method:ident) => {{
        let client = $prompts.0.clone();
        call($request, client.timeout(), $repeat, move |request| {
            let mut registry = client.registry();
            async move { registry.$method(request).await }
        })
    }};
}

impl Prompts {
    /// Registers a text under a name: a new version where none of the prompt's has that text.
    ///
    /// # Errors
    ///
    /// What the server refuses, such as `TEMPLATE_INVALID`, or that it cannot be reached.
    pub async fn put(&self, request: v1::PutPromptRequest) -> Result<v1::PutPromptResponse, LedgerError> {
        let repeat = Repeat::freely_if(request.etag.is_none() && !request.create_only);
        asked!(self, request, repeat, put_prompt).await
    }

    /// A prompt with its active version.
    ///
    /// # Errors
    ///
    /// `PROMPT_NOT_FOUND`, or that the server cannot be reached.
    pub async fn get(&self, name: impl Into<String>) -> Result<v1::GetPromptResponse, LedgerError> {
        let request = v1::GetPromptRequest { name: name.into(), min_revision: None };
        asked!(self, request, Repeat::Freely, get_prompt).await
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
        let label = label.into();
        let (mut found, mut missing, mut left) = (Vec::new(), Vec::new(), names);
        loop {
            let asked = left.len();
            let request = v1::BatchGetPromptsRequest { names: left, label: label.clone(), min_revision: None };
            let answer = asked!(self, request, Repeat::Freely, batch_get_prompts).await?;
            found.extend(answer.found);
            missing.extend(answer.missing);
            left = answer.left_out;
            // Each answer has room for one at least.
            if left.is_empty() || left.len() >= asked {
                return Ok((found, missing));
            }
        }
    }

    /// The prompts that match, by name. The request's `page_size` is how many are fetched at once.
    #[must_use]
    pub fn list(&self, request: v1::ListPromptsRequest) -> Pages<v1::Prompt> {
        let this = self.clone();
        pages(
            request,
            move |request| asked!(this, request, Repeat::Freely, list_prompts),
            |answer| (answer.prompts, answer.next_page_token),
            |request, token| request.page_token = token,
        )
    }

    /// A prompt's versions, the newest first; `page_size` is how many are fetched at once (0: 50).
    #[must_use]
    pub fn versions(&self, name: impl Into<String>, page_size: i32) -> Pages<v1::PromptVersion> {
        let this = self.clone();
        pages(
            v1::ListVersionsRequest { name: name.into(), page_size, page_token: String::new() },
            move |request| asked!(this, request, Repeat::Freely, list_versions),
            |answer| (answer.versions, answer.next_page_token),
            |request, token| request.page_token = token,
        )
    }

    /// The same, each with the number of its executions.
    #[must_use]
    pub fn history(&self, name: impl Into<String>, page_size: i32) -> Pages<v1::PromptVersion> {
        let this = self.clone();
        let request = v1::GetPromptHistoryRequest { name: name.into(), page_size, ..Default::default() };
        pages(
            request,
            move |request| asked!(this, request, Repeat::Freely, get_prompt_history),
            |answer| (answer.versions, answer.next_page_token),
            |request, token| request.page_token = token,
        )
    }

    /// What was changed on a prompt, the newest first.
    #[must_use]
    pub fn changes(&self, name: impl Into<String>, page_size: i32) -> Pages<v1::PromptChangeEntry> {
        self.list_changes(v1::ListPromptChangesRequest { name: name.into(), page_size, ..Default::default() })
    }

    /// What was changed, the newest first, of all prompts where the request names none. Its `page_size` is how many are fetched at once.
    #[must_use]
    pub fn list_changes(&self, request: v1::ListPromptChangesRequest) -> Pages<v1::PromptChangeEntry> {
        let this = self.clone();
        pages(
            request,
            move |request| asked!(this, request, Repeat::Freely, list_prompt_changes),
            |answer| (answer.changes, answer.next_page_token),
            |request, token| request.page_token = token,
        )
    }

    /// Makes a version the active one. With an `etag`, only where the prompt is still as it was.
    ///
    /// # Errors
    ///
    /// `VERSION_NOT_FOUND`, `ETAG_MISMATCH`, or that the server cannot be reached.
    pub async fn activate(
        &self,
        name: impl Into<String>,
        version_number: i32,
        etag: Option<String>,
    ) -> Result<v1::SetActiveVersionResponse, LedgerError> {
        let repeat = Repeat::freely_if(etag.is_none());
        let request =
            v1::SetActiveVersionRequest { name: name.into(), version_number, etag, created_by: String::new() };
        asked!(self, request, repeat, set_active_version).await
    }

    /// Points a label of a prompt at a version.
    ///
    /// # Errors
    ///
    /// `VERSION_NOT_FOUND`, or that the server cannot be reached.
    pub async fn label(
        &self,
        name: impl Into<String>,
        label: impl Into<String>,
        version_number: i32,
    ) -> Result<v1::SetLabelResponse, LedgerError> {
        let (name, label) = (name.into(), label.into());
        let request = v1::SetLabelRequest { name, label, version_number, ..Default::default() };
        asked!(self, request, Repeat::Freely, set_label).await
    }

    /// What an execution with these variables would send; nothing is recorded.
    ///
    /// # Errors
    ///
    /// `VARIABLES_MISSING`, or what else keeps it from being rendered, or that the server cannot be reached.
    pub async fn render(&self, request: v1::RenderPromptRequest) -> Result<v1::RenderPromptResponse, LedgerError> {
        asked!(self, request, Repeat::Freely, render_prompt).await
    }

    /// Imports up to 100 prompts, as an export told them. What is there already is not written again.
    ///
    /// # Errors
    ///
    /// What the server refuses of the request as a whole, or that it cannot be reached. What is wrong with one prompt is in its answer.
    pub async fn import(&self, request: v1::ImportPromptsRequest) -> Result<v1::ImportPromptsResponse, LedgerError> {
        asked!(self, request, Repeat::Freely, import_prompts).await
    }

    /// Archives a prompt: it is not executed any more.
    ///
    /// # Errors
    ///
    /// `PROMPT_NOT_FOUND`, or that the server cannot be reached.
    pub async fn archive(&self, name: impl Into<String>) -> Result<v1::ArchivePromptResponse, LedgerError> {
        let request = v1::ArchivePromptRequest { name: name.into(), ..Default::default() };
        asked!(self, request, Repeat::Freely, archive_prompt).await
    }
}

impl fmt::Debug for Prompts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Prompts")
    }
}
