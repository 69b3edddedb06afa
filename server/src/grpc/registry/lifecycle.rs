//! Which version of a prompt is active, the status of versions, the archive, modes, and models.

use prompt_ledger_domain::Result;
use prompt_ledger_proto::v1;
use prompt_ledger_store::{Changed, PromptChange};

use super::RegistryApi;
use crate::front::remedies;
use crate::grpc::convert::{known, model, prompt, required};
use crate::service::Caller;
use crate::service::registry::WrittenBy;

impl RegistryApi {
    pub(crate) async fn activate(
        &self,
        caller: &Caller,
        sent: v1::SetActiveVersionRequest,
    ) -> Result<v1::SetActiveVersionResponse> {
        let activate = prompt::version_number(sent.version_number).map(PromptChange::Activate);
        let changed = self.change(caller, &sent.name, sent.etag, sent.created_by, activate).await?;
        Ok(v1::SetActiveVersionResponse {
            active_version: changed.version.map(|version| prompt::version(version, &changed.prompt)),
            prompt: Some(prompt::prompt(changed.prompt)),
            revision: changed.revision,
        })
    }

    pub(crate) async fn set_status(
        &self,
        caller: &Caller,
        sent: v1::SetVersionStatusRequest,
    ) -> Result<v1::SetVersionStatusResponse> {
        let status = known("status", sent.status).map(prompt::wanted_status);
        let status = status.and_then(|status| required("status", status));
        let set = prompt::version_number(sent.version_number)
            .and_then(|number| status.map(|status| PromptChange::SetStatus(number, status)));
        let changed = self.change(caller, &sent.name, sent.etag, sent.created_by, set).await?;
        Ok(v1::SetVersionStatusResponse {
            version: changed.version.map(|version| prompt::version(version, &changed.prompt)),
            prompt: Some(prompt::prompt(changed.prompt)),
            revision: changed.revision,
        })
    }

    pub(crate) async fn archive(
        &self,
        caller: &Caller,
        sent: v1::ArchivePromptRequest,
    ) -> Result<v1::ArchivePromptResponse> {
        let changed = self.change(caller, &sent.name, sent.etag, sent.created_by, Ok(PromptChange::Archive)).await?;
        Ok(v1::ArchivePromptResponse { prompt: Some(prompt::prompt(changed.prompt)), revision: changed.revision })
    }

    pub(crate) async fn unarchive(
        &self,
        caller: &Caller,
        sent: v1::UnarchivePromptRequest,
    ) -> Result<v1::UnarchivePromptResponse> {
        let changed = self.change(caller, &sent.name, sent.etag, sent.created_by, Ok(PromptChange::Unarchive)).await?;
        Ok(v1::UnarchivePromptResponse { prompt: Some(prompt::prompt(changed.prompt)), revision: changed.revision })
    }

    pub(crate) async fn migrate(
        &self,
        caller: &Caller,
        sent: v1::MigratePromptModeRequest,
    ) -> Result<v1::MigratePromptModeResponse> {
        let mode = required("mode", prompt::mode_filter(known("mode", sent.mode)?))?;
        let changed =
            self.change(caller, &sent.name, sent.etag, sent.created_by, Ok(PromptChange::Migrate(mode))).await?;
        Ok(v1::MigratePromptModeResponse { prompt: Some(prompt::prompt(changed.prompt)), revision: changed.revision })
    }

    async fn change(
        &self,
        caller: &Caller,
        name: &str,
        etag: Option<String>,
        created_by: String,
        change: Result<PromptChange>,
    ) -> Result<Changed> {
        let by = WrittenBy::new(caller, created_by);
        self.registry.change_prompt(caller.project.id, name, etag, change, by).await
    }

    pub(crate) async fn put_one_model(
        &self,
        caller: &Caller,
        sent: v1::PutModelRequest,
    ) -> Result<v1::PutModelResponse> {
        caller.check_system(remedies::PUT_MODEL)?;
        let put = self.models.put(model::put(sent)?).await?;
        Ok(v1::PutModelResponse { model: Some(model::model(put)) })
    }
}
