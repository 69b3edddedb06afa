//! Steps that execute and watch.

use std::time::Duration;

use prompt_ledger_client::{ExecutionHandle, Tail, TailUpdate, Update, Updates, v1};
use serde_json::{Value, json};

use super::printing::{self, StepFailure};
use super::{Session, text};

/// What a step began and `until` left open.
pub(crate) enum OpenWatch {
    /// With the text since its begin, or since another attempt began to write.
    One(Updates, String),
    Many(Tail),
}

impl Session {
    pub(crate) async fn take_execution(&mut self, what: &str, step: &Value) -> Result<(), StepFailure> {
        match what {
            "run" => {
                let ran = self.client.run(self.spec(step)).await?;
                self.tell_ran(&ran);
                if step["raise"] == true {
                    ran.raise_for_status()?;
                }
            }
            "stream" => {
                let updates = self.client.stream(self.spec(step));
                return self.read(OpenWatch::One(updates, String::new()), text(step, "as"), step).await;
            }
            "submit" => {
                let handle = self.client.submit(self.spec(step)).await?;
                let status = printing::status(handle.submitted_status());
                self.tell(
                    "submitted",
                    json!({"execution_id": handle.id(), "status": status, "reused": handle.reused()}),
                );
                self.handles.insert(text(step, "as"), handle);
            }
            "handle" => {
                self.handles.insert(text(step, "as"), self.client.handle(text(step, "id")));
            }
            "watch" => {
                let handle = self.handle(step);
                let updates = match step["after_sequence"].as_i64() {
                    Some(sequence) => self.client.watch_after(handle.id(), sequence),
                    None => handle.watch(),
                };
                return self.read(OpenWatch::One(updates, String::new()), text(step, "as"), step).await;
            }
            "tail" => {
                let filter = self.contract.read("WatchExecutionsRequest", &object(&step["filter"])).unwrap();
                let tail = self.client.tail(filter);
                return self.read(OpenWatch::Many(tail), text(step, "as"), step).await;
            }
            "read" => {
                let name = text(step, "of");
                let open = self.watches.remove(&name).expect("a watch of this name is open");
                return self.read(open, name, step).await;
            }
            "stop" => drop(self.watches.remove(&text(step, "of"))),
            "result" => {
                let timeout = step["timeout"].as_f64().map(Duration::from_secs_f64);
                let execution = self.handle(step).result(timeout).await?;
                self.tell("result", printing::execution(&execution));
            }
            "get" => {
                let execution = self.handle(step).get().await?;
                self.tell("execution", printing::execution(&execution));
            }
            "cancel" => {
                let execution = self.handle(step).cancel(text(step, "reason")).await?;
                self.tell("execution", printing::execution(&execution));
            }
            _ => return Err(StepFailure::Unsupported),
        }
        Ok(())
    }

    pub(crate) fn tell_ran(&self, ran: &prompt_ledger_client::RunOutcome) {
        let mut told = printing::execution(&ran.execution);
        told["reused"] = json!(ran.reused);
        self.tell("result", told);
    }

    fn spec(&self, step: &Value) -> v1::ExecutionSpec {
        self.contract.read("ExecutionSpec", &step["spec"]).unwrap()
    }

    /// The handle of the execution that a step is about.
    fn handle(&self, step: &Value) -> ExecutionHandle {
        match step["id"].as_str() {
            Some(id) => self.client.handle(id),
            None => self.handles.get(&text(step, "of")).cloned().expect("a handle of this name was begun"),
        }
    }

    /// Tells what a watch tells, to its end or to what `until` says; then it stays open under this name.
    async fn read(&mut self, mut open: OpenWatch, name: String, step: &Value) -> Result<(), StepFailure> {
        loop {
            let (saw, told, so_far) = match &mut open {
                OpenWatch::One(updates, so_far) => {
                    let Some(update) = updates.next().await else { return Ok(()) };
                    let Some((saw, told)) = one(&update?, so_far) else { continue };
                    (saw, told, so_far.as_str())
                }
                OpenWatch::Many(tail) => {
                    let Some(update) = tail.next().await else { return Ok(()) };
                    let Some((saw, told)) = many(&update?) else { continue };
                    (saw, told, "")
                }
            };
            let is_enough = step.get("until").is_some_and(|until| has(until, saw, &told, so_far));
            self.tell(saw, told);
            if is_enough {
                self.watches.insert(name, open);
                return Ok(());
            }
        }
    }
}

fn one(update: &Update, so_far: &mut String) -> Option<(&'static str, Value)> {
    Some(match update {
        Update::Joined { execution_id } => ("joined", json!({"execution_id": execution_id})),
        Update::State(change) => ("state", printing::change(change)),
        Update::Restarted { attempt } => {
            so_far.clear();
            ("restarted", json!({"attempt": attempt}))
        }
        Update::Text { text, .. } => {
            so_far.push_str(text);
            ("text", json!({"text": text}))
        }
        Update::Ended(execution) => ("result", printing::execution(execution)),
        _ => return None,
    })
}

fn many(update: &TailUpdate) -> Option<(&'static str, Value)> {
    Some(match update {
        TailUpdate::Found { sequence, execution } => {
            let mut found = printing::execution(execution);
            found["sequence"] = json!(sequence);
            ("found", found)
        }
        TailUpdate::Synced => ("synced", json!({})),
        TailUpdate::Changed { change, .. } => ("changed", printing::change(change)),
        _ => return None,
    })
}

/// Whether a line has all that `until` wants.
fn has(until: &Value, saw: &str, told: &Value, so_far: &str) -> bool {
    let mut wanted = until.as_object().into_iter().flatten();
    wanted.all(|(key, value)| match key.as_str() {
        "saw" => value == saw,
        "so_far" => value == so_far,
        key => told[key] == *value,
    })
}

/// An object, also where none is given.
fn object(value: &Value) -> Value {
    if value.is_null() { json!({}) } else { value.clone() }
}
