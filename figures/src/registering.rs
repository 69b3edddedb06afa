//! Registration of a thousand prompts from code: new, changed, and unchanged as at most starts of a deployment.

use std::path::Path;
use std::time::Instant;

use prompt_ledger_proto::v1;
use prompt_ledger_proto::v1::code_registration_service_client::CodeRegistrationServiceClient;
use prompt_ledger_testkit::ledger::Connection;
use prompt_ledger_testkit::services::{self, Postgres, Redis};

use super::load::Times;
use super::release::{FigureError, configured, migrated};

const PROMPTS: usize = 1_000;
const ROUNDS: usize = 10;

pub(super) async fn registering(binaries: &Path, postgres: &Postgres, redis: &Redis) -> Result<(), FigureError> {
    let database = services::database_on(&postgres.url());
    let builder = configured(binaries.join("prompt-ledger"), &database, redis).serving();
    migrated(&builder)?;
    let server = builder.start().await;
    let client = CodeRegistrationServiceClient::new(server.connection());
    let (mut changed, mut unchanged) = (Times::new()?, Times::new()?);
    for round in 0..ROUNDS {
        for times in [&mut changed, &mut unchanged] {
            let began = Instant::now();
            register(client.clone(), round).await?;
            times.record(began.elapsed());
        }
    }
    for (name, times) in [("changed", &changed), ("unchanged", &unchanged)] {
        println!(
            "{PROMPTS} prompts registered, {name:<10} {:8.1} ms     slowest {:.1} ms",
            times.quantile(0.5),
            times.quantile(1.0)
        );
    }
    Ok(())
}

async fn register(mut client: CodeRegistrationServiceClient<Connection>, round: usize) -> Result<(), FigureError> {
    let prompt = |number| v1::CodePrompt {
        name: format!("prompt-{number}"),
        template: Some(v1::code_prompt::Template::TemplateSource(format!(
            "Say hello to {{{{name}}}}, who is number {number} of round {round}, in {{{{language}}}}."
        ))),
        ..v1::CodePrompt::default()
    };
    let request = v1::RegisterCodePromptsRequest { prompts: (0..PROMPTS).map(prompt).collect(), ..Default::default() };
    let registered = client.register_code_prompts(request).await?.into_inner().registered;
    if registered.len() == PROMPTS { Ok(()) } else { Err("not all were registered".into()) }
}
