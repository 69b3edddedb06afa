//! A random sequence of writes to a few prompts, of every kind, and what is stored of them afterwards.

use std::collections::BTreeMap;

use prompt_ledger_proto::v1;
use prompt_ledger_proto::v1::get_version_request::Selector;
use tonic::{Code, Status};

use crate::ledger::{Ledger, carried, put};

/// The prompts of a sequence, by the last part of their names.
const NAMES: [&str; 4] = ["a", "b", "c", "d"];
const LABELS: [&str; 3] = ["production", "staging", "canary"];

/// A fixed pseudo-random sequence.
#[derive(Clone, Debug)]
pub struct RandomNumbers(u64);

impl RandomNumbers {
    /// Equal for equal seeds.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// The next number in `0..below`.
    pub fn below(&mut self, below: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % below as u64).unwrap()
    }

    fn of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())]
    }
}

/// Writes at random to the prompts `PREFIXa` to `PREFIXd`, and to `PREFIXt`, which lives in code.
#[derive(Debug)]
pub struct PromptWriter {
    pub prefix: String,
    pub random: RandomNumbers,
    /// The highest revision that a write has answered.
    pub revision: i64,
}

impl PromptWriter {
    #[must_use]
    pub fn new(prefix: &str, seed: u64) -> Self {
        Self { prefix: prefix.to_owned(), random: RandomNumbers::new(seed), revision: 0 }
    }

    /// The names that it may have written.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        NAMES.iter().chain(&["t"]).map(|name| format!("{}{name}", self.prefix)).collect()
    }

    /// One write. What the ledger refuses is no fault, and neither is a server that is away: whether the write happened is
    /// then not known.
    ///
    /// # Panics
    /// Where a write fails in another way.
    pub async fn write(&mut self, ledger: &Ledger) {
        match self.try_write(ledger).await {
            Ok(revision) => self.revision = self.revision.max(revision),
            Err(status) => assert!(
                matches!(
                    status.code(),
                    Code::FailedPrecondition
                        | Code::NotFound
                        | Code::InvalidArgument
                        | Code::Unavailable
                        | Code::Unknown
                        | Code::Cancelled
                ),
                "{status:?}"
            ),
        }
    }

    async fn try_write(&mut self, ledger: &Ledger) -> Result<i64, Status> {
        let random = &mut self.random;
        let name = format!("{}{}", self.prefix, random.of(&NAMES));
        let label = random.of(&LABELS).to_owned();
        let version_number = 1 + i32::try_from(random.below(4)).unwrap();
        let mut registry = ledger.registry();
        Ok(match random.below(16) {
            0..=3 => {
                let labels = if random.below(3) == 0 { vec![label] } else { Vec::new() };
                let request = v1::PutPromptRequest {
                    set_active: random.below(2) == 0,
                    labels,
                    ..put(&name, &format!("text {}", random.below(6)))
                };
                registry.put_prompt(request).await?.into_inner().revision
            }
            4 | 5 => {
                let request =
                    v1::SetActiveVersionRequest { name, version_number, ..v1::SetActiveVersionRequest::default() };
                registry.set_active_version(request).await?.into_inner().revision
            }
            6 | 7 => {
                let request = v1::SetLabelRequest { name, label, version_number, ..v1::SetLabelRequest::default() };
                registry.set_label(request).await?.into_inner().revision
            }
            8 => {
                let request = v1::RemoveLabelRequest { name, label, ..v1::RemoveLabelRequest::default() };
                registry.remove_label(request).await?.into_inner().revision
            }
            9 => {
                let status = random.of(&[v1::VersionStatus::Deprecated, v1::VersionStatus::Draft]).into();
                let request = v1::SetVersionStatusRequest {
                    name,
                    version_number,
                    status,
                    ..v1::SetVersionStatusRequest::default()
                };
                registry.set_version_status(request).await?.into_inner().revision
            }
            10 => {
                let request = v1::UpdatePromptRequest {
                    name,
                    update_mask: Some(prost_types::FieldMask { paths: vec!["description".into()] }),
                    description: format!("is {}", random.below(3)),
                    ..v1::UpdatePromptRequest::default()
                };
                registry.update_prompt(request).await?.into_inner().revision
            }
            11 => {
                let request = v1::ArchivePromptRequest { name, ..v1::ArchivePromptRequest::default() };
                registry.archive_prompt(request).await?.into_inner().revision
            }
            12 => {
                let request = v1::UnarchivePromptRequest { name, ..v1::UnarchivePromptRequest::default() };
                registry.unarchive_prompt(request).await?.into_inner().revision
            }
            13 => {
                let mode = random.of(&[v1::PromptMode::Full, v1::PromptMode::Tracking]).into();
                let request = v1::MigratePromptModeRequest { name, mode, ..v1::MigratePromptModeRequest::default() };
                registry.migrate_prompt_mode(request).await?.into_inner().revision
            }
            14 => {
                let prompt = v1::CodePrompt {
                    labels: vec![label],
                    ..carried(&format!("{}t", self.prefix), &format!("code {}", random.below(4)))
                };
                let prompts = vec![prompt];
                let request = v1::RegisterCodePromptsRequest { prompts, ..v1::RegisterCodePromptsRequest::default() };
                ledger.code().register_code_prompts(request).await?.into_inner().revision
            }
            _ => {
                let version = |number: i32, text: usize| v1::ExportedVersion {
                    version_number: number,
                    status: v1::VersionStatus::Active.into(),
                    template: Some(v1::exported_version::Template::TemplateSource(format!("text {text}"))),
                    template_format: v1::TemplateFormat::Handlebars.into(),
                    ..v1::ExportedVersion::default()
                };
                let first = random.below(6);
                let prompt = v1::ExportedPrompt {
                    name,
                    mode: v1::PromptMode::Full.into(),
                    active_version_number: Some(1),
                    versions: vec![version(1, first), version(2, first + 1)],
                    ..v1::ExportedPrompt::default()
                };
                let request = v1::ImportPromptsRequest {
                    prompts: vec![prompt],
                    set_active: random.below(2) == 0,
                    ..v1::ImportPromptsRequest::default()
                };
                registry.import_prompts(request).await?.into_inner().revision
            }
        })
    }

    /// The prompts that are stored, by name, each with its active version and those that its labels point at, by number; and a
    /// revision that they have all been written by.
    ///
    /// # Panics
    /// Where they cannot be read.
    pub async fn stored(&self, ledger: &Ledger) -> (StoredPrompts, i64) {
        let (mut stored, mut revision) = (BTreeMap::new(), self.revision);
        for name in self.names() {
            let request = v1::GetPromptRequest { name: name.clone(), min_revision: None };
            let found = match ledger.registry().get_prompt(request).await {
                Ok(found) => found.into_inner(),
                Err(status) if status.code() == Code::NotFound => continue,
                Err(status) => panic!("{status:?}"),
            };
            revision = revision.max(found.revision);
            let prompt = found.prompt.unwrap();
            let mut versions = BTreeMap::new();
            let active = prompt.active_version_number;
            for number in active.into_iter().chain(prompt.labels.iter().map(|held| held.version_number)) {
                let selector = Some(Selector::VersionNumber(number));
                let request = v1::GetVersionRequest { name: name.clone(), selector, min_revision: None };
                let version = ledger.registry().get_version(request).await.unwrap().into_inner().version.unwrap();
                versions.insert(number, version);
            }
            stored.insert(name, (prompt, versions));
        }
        (stored, revision)
    }

    /// Asserts that a cache has exactly what is stored, once it has `reached` the revision of that. `prompt` and `version` read
    /// it, by name and label. Nobody writes to these prompts meanwhile; but a write whose answer was lost may still come.
    ///
    /// # Panics
    /// Where it differs.
    pub async fn settled(
        &self,
        ledger: &Ledger,
        reached: impl AsyncFn(i64),
        prompt: impl Fn(&str) -> Option<v1::Prompt>,
        version: impl Fn(&str, Option<&str>) -> Option<v1::PromptVersion>,
    ) {
        let mut before = None;
        loop {
            let (stored, revision) = self.stored(ledger).await;
            reached(revision).await;
            let mut wrong = Vec::new();
            for name in self.names() {
                let (expected, versions) = stored
                    .get(&name)
                    .cloned()
                    .map_or((None, BTreeMap::new()), |(prompt, versions)| (Some(prompt), versions));
                if prompt(&name) != expected {
                    wrong.push(format!("{name} is {:?} instead of {expected:?}", prompt(&name)));
                }
                let number = |label: Option<&str>| {
                    let prompt = expected.as_ref()?;
                    let Some(label) = label else { return prompt.active_version_number };
                    prompt.labels.iter().find(|held| held.label == label).map(|held| held.version_number)
                };
                for label in std::iter::once(None).chain(LABELS.map(Some)) {
                    let expected = number(label).map(|number| versions[&number].clone());
                    let found = version(&name, label);
                    if found != expected {
                        wrong.push(format!("{label:?} of {name} is {found:?} instead of {expected:?}"));
                    }
                }
            }
            if wrong.is_empty() {
                return;
            }
            assert!(
                before < Some(revision),
                "a cache of `{}` is wrong at revision {revision}: {wrong:#?}",
                self.prefix
            );
            before = Some(revision);
        }
    }
}

/// Prompts by name, with versions by number.
pub type StoredPrompts = BTreeMap<String, (v1::Prompt, BTreeMap<i32, v1::PromptVersion>)>;
