//! What changes prompts.

use prompt_ledger_proto::v1;

use crate::calls::{Repeat, asked};
use crate::ledger_error::LedgerError;
use crate::prompts::Prompts;

impl Prompts {
    /// Registers a text under a name: a new version where none of the prompt's has that text.
    ///
    /// # Errors
    ///
    /// What the server refuses, such as `TEMPLATE_INVALID`, or that it cannot be reached.
    pub async fn put(&self, request: v1::PutPromptRequest) -> Result<v1::PutPromptResponse, LedgerError> {
        let repeat = Repeat::freely_if(request.etag.is_none() && !request.create_only);
        asked!(self.client(), registry.put_prompt, request, self.client().timeout(), repeat).await
    }

    /// Imports up to 100 prompts, as an export told them. What is there already is not written again.
    ///
    /// # Errors
    ///
    /// What the server refuses of the request as a whole, or that it cannot be reached. What is wrong with one prompt is in its answer.
    pub async fn import(&self, request: v1::ImportPromptsRequest) -> Result<v1::ImportPromptsResponse, LedgerError> {
        asked!(self.client(), registry.import_prompts, request, self.client().timeout(), Repeat::Freely).await
    }

    /// Makes a version the active one: promotes it, or rolls back to it. With an `etag`, only where the prompt is still as it was.
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
        let name = name.into();
        self.set_active_version(v1::SetActiveVersionRequest { name, version_number, etag, ..Default::default() }).await
    }

    /// As [`activate`](Self::activate).
    ///
    /// # Errors
    ///
    /// `VERSION_NOT_FOUND`, `ETAG_MISMATCH`, or that the server cannot be reached.
    pub async fn set_active_version(
        &self,
        request: v1::SetActiveVersionRequest,
    ) -> Result<v1::SetActiveVersionResponse, LedgerError> {
        let repeat = Repeat::freely_if(request.etag.is_none());
        asked!(self.client(), registry.set_active_version, request, self.client().timeout(), repeat).await
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
        self.set_label(v1::SetLabelRequest { name, label, version_number, ..Default::default() }).await
    }

    /// As [`label`](Self::label).
    ///
    /// # Errors
    ///
    /// `VERSION_NOT_FOUND`, `ETAG_MISMATCH`, or that the server cannot be reached.
    pub async fn set_label(&self, request: v1::SetLabelRequest) -> Result<v1::SetLabelResponse, LedgerError> {
        let repeat = Repeat::freely_if(request.etag.is_none());
        asked!(self.client(), registry.set_label, request, self.client().timeout(), repeat).await
    }

    /// Removes a label. Executions that were recorded by it stay as they are.
    ///
    /// # Errors
    ///
    /// `LABEL_NOT_FOUND`, or that the server cannot be reached.
    pub async fn unlabel(
        &self,
        name: impl Into<String>,
        label: impl Into<String>,
    ) -> Result<v1::RemoveLabelResponse, LedgerError> {
        let (name, label) = (name.into(), label.into());
        self.remove_label(v1::RemoveLabelRequest { name, label, ..Default::default() }).await
    }

    /// As [`unlabel`](Self::unlabel).
    ///
    /// # Errors
    ///
    /// `LABEL_NOT_FOUND`, `ETAG_MISMATCH`, or that the server cannot be reached.
    pub async fn remove_label(&self, request: v1::RemoveLabelRequest) -> Result<v1::RemoveLabelResponse, LedgerError> {
        // A repeat would not find the label that the first attempt removed.
        asked!(self.client(), registry.remove_label, request, self.client().timeout(), Repeat::UnlessBegun).await
    }

    /// Archives a prompt: it is left out of lists and not executed any more; its name stays taken.
    ///
    /// # Errors
    ///
    /// `PROMPT_NOT_FOUND`, or that the server cannot be reached.
    pub async fn archive(&self, name: impl Into<String>) -> Result<v1::ArchivePromptResponse, LedgerError> {
        self.archive_prompt(v1::ArchivePromptRequest { name: name.into(), ..Default::default() }).await
    }

    /// As [`archive`](Self::archive).
    ///
    /// # Errors
    ///
    /// `PROMPT_NOT_FOUND`, `ETAG_MISMATCH`, or that the server cannot be reached.
    pub async fn archive_prompt(
        &self,
        request: v1::ArchivePromptRequest,
    ) -> Result<v1::ArchivePromptResponse, LedgerError> {
        let repeat = Repeat::freely_if(request.etag.is_none());
        asked!(self.client(), registry.archive_prompt, request, self.client().timeout(), repeat).await
    }

    /// Takes a prompt out of the archive.
    ///
    /// # Errors
    ///
    /// `PROMPT_NOT_FOUND`, or that the server cannot be reached.
    pub async fn unarchive(&self, name: impl Into<String>) -> Result<v1::UnarchivePromptResponse, LedgerError> {
        self.unarchive_prompt(v1::UnarchivePromptRequest { name: name.into(), ..Default::default() }).await
    }

    /// As [`unarchive`](Self::unarchive).
    ///
    /// # Errors
    ///
    /// `PROMPT_NOT_FOUND`, `ETAG_MISMATCH`, or that the server cannot be reached.
    pub async fn unarchive_prompt(
        &self,
        request: v1::UnarchivePromptRequest,
    ) -> Result<v1::UnarchivePromptResponse, LedgerError> {
        let repeat = Repeat::freely_if(request.etag.is_none());
        asked!(self.client(), registry.unarchive_prompt, request, self.client().timeout(), repeat).await
    }
}
