//! The driver of the Rust client: does what a scenario says, and prints what its user saw. The protocol stands in
//! `clients/conformance/README.md`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a program of tests: a panic is the report")]
#![allow(clippy::print_stdout, reason = "it speaks through its standard output")]

mod caches;
mod connecting;
mod executions;
mod printing;
mod registry;

use std::collections::HashMap;
use std::io::BufRead as _;

use prompt_ledger_client::{Client, ExecutionHandle, PromptCache};
use prompt_ledger_conformance::contract::Contract;
use serde_json::{Value, json};

use self::executions::OpenWatch;
use self::printing::StepFailure;

/// What the steps so far have begun.
struct Session {
    contract: Contract,
    client: Client,
    handles: HashMap<String, ExecutionHandle>,
    watches: HashMap<String, OpenWatch>,
    caches: HashMap<String, PromptCache>,
    /// The index of the present step.
    step: usize,
}

#[tokio::main]
async fn main() {
    let mut scenario = String::new();
    std::io::stdin().lock().read_line(&mut scenario).unwrap();
    let scenario: Value = serde_json::from_str(&scenario).expect("the first line is a scenario");
    let client = match connecting::connect(&scenario["options"]) {
        Ok(client) => client,
        Err(error) => {
            println!("{}", json!({"saw": "error", "class": "InvalidOptions", "message": error.to_string()}));
            return;
        }
    };
    let mut session = Session {
        contract: Contract::default(),
        client,
        handles: HashMap::new(),
        watches: HashMap::new(),
        caches: HashMap::new(),
        step: 0,
    };
    for (index, step) in scenario["steps"].as_array().into_iter().flatten().enumerate() {
        session.step = index;
        if let Err(failure) = session.take(step).await {
            let (saw, fields) = failure.told();
            session.tell(saw, fields);
        }
    }
}

impl Session {
    async fn take(&mut self, step: &Value) -> Result<(), StepFailure> {
        let what = step["do"].as_str().unwrap_or_default();
        match what.split_once('.') {
            Some(("prompts", method)) => self.take_prompts(method, step).await,
            Some(("cache", method)) => self.take_cache(method, step).await,
            _ => match what {
                "register" => self.register(step).await,
                "execute" => self.execute(step).await,
                "pause" => {
                    self.tell("pause", json!({}));
                    std::io::stdin().lock().read_line(&mut String::new()).unwrap();
                    Ok(())
                }
                _ => self.take_execution(what, step).await,
            },
        }
    }

    /// Prints a line.
    fn tell(&self, saw: &str, mut fields: Value) {
        fields["saw"] = json!(saw);
        fields["step"] = json!(self.step);
        println!("{fields}");
    }
}

/// An argument of a step; empty where it has none of this name.
fn text(step: &Value, name: &str) -> String {
    step[name].as_str().unwrap_or_default().to_owned()
}

/// An argument of a step; 0 where it has none of this name.
fn number(step: &Value, name: &str) -> i32 {
    step[name].as_i64().and_then(|number| i32::try_from(number).ok()).unwrap_or_default()
}

fn texts(step: &Value, name: &str) -> Vec<String> {
    step[name].as_array().into_iter().flatten().filter_map(|text| Some(text.as_str()?.to_owned())).collect()
}
