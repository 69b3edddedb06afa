//! Export and import.

use std::collections::VecDeque;
use std::sync::Arc;

use futures::Stream;
use prompt_ledger_domain::error::{Error, Violations};
use prompt_ledger_domain::field::Name;
use prompt_ledger_domain::ids::ProjectId;
use prompt_ledger_domain::prompt::{Prompt, Version};
use prompt_ledger_domain::{Result, field, limits};
use prompt_ledger_proto::v1;
use prost::Message as _;

use super::RegistryApi;
use crate::grpc::convert::transfer::{self, arriving, exported, whole};
use crate::service::registry::ImportOptions;
use crate::service::{Caller, RegistryService};

/// The most names of one export.
const EXPORTED: usize = 1_000;

/// An export under way.
struct Export {
    registry: Arc<RegistryService>,
    project: ProjectId,
    /// Names to export next; those of the whole project are read as they are needed.
    names: VecDeque<String>,
    /// The last name that was read of the whole project; absent where names were given, or all were read.
    after: Option<String>,
    /// The prompt that is being exported, as it was when its export began.
    open: Option<Prompt>,
    /// The hashes of its versions that were sent, the lowest number first.
    sent: Vec<String>,
    /// Versions that were read and not sent.
    read: VecDeque<Version>,
}

impl Export {
    async fn next(mut self) -> Result<Option<(v1::ExportPromptsResponse, Self)>> {
        let prompt = match self.open.take() {
            Some(open) => open,
            None => match self.name().await? {
                Some(name) => self.registry.exported(self.project, &name).await?,
                None => return Ok(None),
            },
        };
        let mut message = exported(&prompt);
        let mut bytes = 0;
        while self.sent() < prompt.latest_version && bytes < limits::PAGE_BYTES {
            if self.read.is_empty() {
                self.read = self.registry.versions_after(self.project, &prompt.name, self.sent()).await?.into();
            }
            let Some(version) = self.read.pop_front() else { break };
            self.sent.push(version.checksum_hash.clone());
            let version = transfer::version(version);
            bytes += version.encoded_len();
            message.versions.push(version);
        }
        if self.sent() < prompt.latest_version && !message.versions.is_empty() {
            self.open = Some(prompt);
        } else {
            message = whole(message, &prompt, &self.sent);
            self.read.clear();
            self.sent.clear();
        }
        Ok(Some((v1::ExportPromptsResponse { prompt: Some(message) }, self)))
    }

    /// The number of the last version that was sent: numbers have no gaps.
    fn sent(&self) -> i32 {
        i32::try_from(self.sent.len()).unwrap_or(i32::MAX)
    }

    /// The name of the next prompt.
    async fn name(&mut self) -> Result<Option<String>> {
        if self.names.is_empty()
            && let Some(after) = self.after.take()
        {
            let after = Some(&*after).filter(|after| !after.is_empty());
            self.names = self.registry.names_after(self.project, after).await?.into();
            self.after = self.names.back().cloned();
        }
        Ok(self.names.pop_front())
    }
}

impl RegistryApi {
    pub(super) async fn export(
        &self,
        caller: &Caller,
        sent: v1::ExportPromptsRequest,
    ) -> Result<impl Stream<Item = Result<v1::ExportPromptsResponse>> + Send + use<>> {
        if sent.names.len() > EXPORTED {
            let problem = format!("are {}; at most {EXPORTED} are allowed", sent.names.len());
            return Err(Error::invalid("names", problem));
        }
        let mut wrong = Violations::default();
        for (i, name) in sent.names.iter().enumerate() {
            wrong.keep(Name::parse(&format!("names[{i}]"), name))?;
        }
        wrong.finish(Some(()))?;
        for name in &sent.names {
            self.registry.get(caller.project.id, name, None).await?;
        }
        let export = Export {
            registry: Arc::clone(&self.registry),
            project: caller.project.id,
            after: sent.names.is_empty().then(String::new),
            names: sent.names.into(),
            open: None,
            sent: Vec::new(),
            read: VecDeque::new(),
        };
        Ok(futures::stream::try_unfold(export, Export::next))
    }

    pub(super) async fn import(
        &self,
        caller: &Caller,
        sent: v1::ImportPromptsRequest,
    ) -> Result<v1::ImportPromptsResponse> {
        if !(1..=limits::IMPORTED_PROMPTS).contains(&sent.prompts.len()) {
            let (count, most) = (sent.prompts.len(), limits::IMPORTED_PROMPTS);
            return Err(Error::invalid("prompts", format!("are {count}; send 1 to {most}")));
        }
        if let Some(i) =
            (1..sent.prompts.len()).find(|i| sent.prompts[..*i].iter().any(|p| p.name == sent.prompts[*i].name))
        {
            return Err(Error::invalid(format!("prompts[{i}].name"), "stands twice; send each prompt once"));
        }
        let v1::ImportPromptsRequest { prompts, dry_run, set_active, set_labels, created_by } = sent;
        let created_by = field::text("created_by", created_by, limits::SHORT_TEXT_BYTES)?;
        let options = ImportOptions { set_active, set_labels, dry_run, created_by, key: caller.asking_key() };
        let (mut imported, mut revision) = (Vec::with_capacity(prompts.len()), 0);
        for (place, prompt) in prompts.into_iter().enumerate() {
            let name = prompt.name.clone();
            let done = self.registry.import(caller.project.id, arriving(prompt), &options).await;
            // What is no fault of the prompt ends the call: what was imported is found again by a repeat.
            let done = match done {
                Err(error) if transfer::is_passing(&error) => return Err(error),
                done => done.map_err(|error| error.within(&format!("prompts[{place}]"))),
            };
            revision = done.as_ref().map_or(revision, |done| done.revision.max(revision));
            imported.push(transfer::imported(name, done));
        }
        let revision = revision.max(self.registry.revision(caller.project.id));
        Ok(v1::ImportPromptsResponse { imported, revision })
    }
}
