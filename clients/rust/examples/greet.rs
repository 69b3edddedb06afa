//! The ten lines of the README: with `prompt-ledger dev` running, `cargo run --example greet`.
#![allow(clippy::print_stdout, reason = "a program for a terminal")]

use prompt_ledger_client::prost_types::Struct;
use prompt_ledger_client::v1::{ExecutionSpec, PutPromptRequest, put_prompt_request::Template};
use prompt_ledger_client::{Client, Update};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let ledger = Client::from_environment()?;

    let template = Some(Template::TemplateSource("Say hello to {{name}}.".into()));
    let greet = PutPromptRequest { name: "greet".into(), template, set_active: true, ..Default::default() };
    ledger.prompts().put(greet).await?;

    let variables = Some(Struct { fields: [("name".into(), "Ada".into())].into() });
    let spec = ExecutionSpec { prompt_name: "greet".into(), variables, ..Default::default() };
    let execution = ledger.run(spec.clone()).await?.raise_for_status()?;
    println!("{}", execution.response_text);

    let mut updates = ledger.stream(spec);
    while let Some(update) = updates.next().await {
        if let Update::Text { text, .. } = update? {
            print!("{text}");
        }
    }
    Ok(())
}
