//! Steps about prompts.

use futures::{Stream, StreamExt as _};
use prompt_ledger_client::{LedgerError, v1};
use serde_json::{Value, json};

use super::printing::{self, StepFailure};
use super::{Session, number, text, texts};

impl Session {
    pub(crate) async fn take_prompts(&mut self, method: &str, step: &Value) -> Result<(), StepFailure> {
        let (prompts, name, page_size) = (self.client.prompts(), text(step, "name"), number(step, "page_size"));
        match method {
            "put" => {
                let request = self.contract.read("PutPromptRequest", &step["request"]).unwrap();
                let put = prompts.put(request).await?;
                let version = put.version.unwrap_or_default();
                self.tell(
                    "put",
                    json!({
                        "name": version.prompt_name, "version": version.version_number,
                        "version_change": put.version_change, "activated": put.activated,
                    }),
                );
            }
            "get" => {
                let found = prompts.get(name).await?;
                self.tell_prompt(found.prompt, found.active_version.as_ref());
            }
            "list" => {
                let request = self.contract.read("ListPromptsRequest", &step["request"]).unwrap();
                return self.tell_all("prompt", prompts.list(request), |found| printing::prompt(found, None)).await;
            }
            "versions" => {
                return self.tell_all("version", prompts.versions(name, page_size), printing::version).await;
            }
            "history" => {
                return self.tell_all("version", prompts.history(name, page_size), printing::version).await;
            }
            "changes" => {
                return self.tell_all("change", prompts.changes(name, page_size), printing::prompt_change).await;
            }
            "activate" => {
                let etag = step["etag"].as_str().map(str::to_owned);
                let activated = prompts.activate(name, number(step, "version"), etag).await?;
                self.tell_prompt(activated.prompt, activated.active_version.as_ref());
            }
            "label" => {
                let labelled = prompts.label(name, text(step, "label"), number(step, "version")).await?;
                self.tell_prompt(labelled.prompt, labelled.version.as_ref());
            }
            "archive" => {
                let archived = prompts.archive(name).await?;
                self.tell_prompt(archived.prompt, None);
            }
            "render" => {
                let mut request = json!({"name": name});
                for (argument, field) in [("variables", "variables"), ("label", "label"), ("version", "version_number")]
                {
                    if let Some(value) = step.get(argument) {
                        request[field] = value.clone();
                    }
                }
                let request = self.contract.read("RenderPromptRequest", &request).unwrap();
                let rendered = prompts.render(request).await?;
                let message = |message: &v1::ChatMessage| json!({"role": message.role, "content": message.content});
                let messages: Vec<Value> = rendered.messages.iter().map(message).collect();
                self.tell("rendered", json!({"text": rendered.rendered_prompt, "messages": messages}));
            }
            "batch_get" => {
                let (found, missing) = prompts.batch_get(texts(step, "names"), text(step, "label")).await?;
                for found in found {
                    self.tell_prompt(found.prompt, found.version.as_ref());
                }
                if !missing.is_empty() {
                    self.tell("missing", json!({"names": missing}));
                }
            }
            _ => return Err(StepFailure::Unsupported),
        }
        Ok(())
    }

    pub(crate) async fn register(&mut self, step: &Value) -> Result<(), StepFailure> {
        let mut request = json!({"prompts": step["prompts"]});
        for name in ["dry_run", "set_active"] {
            if let Some(value) = step.get(name) {
                request[name] = value.clone();
            }
        }
        let request = self.contract.read("RegisterCodePromptsRequest", &request).unwrap();
        for prompt in self.client.register_code_prompts(request).await?.registered {
            self.tell("registered", printing::registered(&prompt));
        }
        Ok(())
    }

    pub(crate) async fn execute(&mut self, step: &Value) -> Result<(), StepFailure> {
        let mut spec = json!({});
        for name in ["variables", "idempotency_key", "max_retries"] {
            if let Some(value) = step.get(name) {
                spec[name] = value.clone();
            }
        }
        if let Some(seconds) = step["timeout"].as_f64() {
            spec["timeout"] = json!(format!("{seconds}s"));
        }
        let spec = self.contract.read("ExecutionSpec", &spec).unwrap();
        let ran = self.client.execute(&text(step, "name"), spec).await?;
        self.tell_ran(&ran);
        Ok(())
    }

    fn tell_prompt(&self, prompt: Option<v1::Prompt>, version: Option<&v1::PromptVersion>) {
        self.tell("prompt", printing::prompt(&prompt.unwrap_or_default(), version));
    }

    async fn tell_all<T>(
        &self,
        saw: &str,
        mut pages: impl Stream<Item = Result<T, LedgerError>> + Unpin,
        told: impl Fn(&T) -> Value,
    ) -> Result<(), StepFailure> {
        while let Some(entry) = pages.next().await {
            self.tell(saw, told(&entry?));
        }
        Ok(())
    }
}
