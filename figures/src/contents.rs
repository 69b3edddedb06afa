//! What chats, configs and labels cost beside a text of the same size and the active pointer, in turns.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use prompt_ledger_proto::v1;
use prompt_ledger_proto::v1::chat_template_entry::Entry;
use prompt_ledger_proto::v1::execution_service_client::ExecutionServiceClient;
use prompt_ledger_proto::v1::registry_service_client::RegistryServiceClient;
use prompt_ledger_proto::v1::{execution_spec, get_version_request, put_prompt_request};
use prompt_ledger_testkit::ledger::{Connection, Ledger, put, server, spec};
use prost::Message as _;

use super::load::{Times, closed_loop, median};
use super::main_job::{CONNECTIONS, connections};
use super::production::cpu_seconds;
use super::release::FigureError;

const ROUNDS: usize = 5;
const ROUND: Duration = Duration::from_secs(2);
const READERS: usize = 64;
const CALLERS: usize = 16;
/// Entries of the chat.
const ENTRIES: usize = 10;
/// The text of each, without variables.
const SENTENCE: &str = "You answer questions about orders, briefly and politely, and you never guess.";
const LABEL: &str = "production";

pub(super) async fn run(binary: &Path) -> Result<(), FigureError> {
    let ledger = server(binary).env("LOG", "warn").start().await;
    let chat = put_chat(&ledger).await?;
    let text = "x".repeat(chat.saturating_sub(read(&ledger, "text").await?));
    ledger.active("text", &text).await;
    ledger.active("greet", "Say hello to {{name}}.").await;
    let label = v1::SetLabelRequest {
        name: "greet".into(),
        label: LABEL.into(),
        version_number: 1,
        ..v1::SetLabelRequest::default()
    };
    ledger.registry().set_label(label).await?;
    // Another one is active, so that the label is not the pointer.
    ledger.active("greet", "Say a hello to {{name}}.").await;
    let connections = connections(&ledger.addr, &ledger.key).await?;
    let registry: Arc<[_]> = connections.iter().cloned().map(RegistryServiceClient::new).collect();
    let executions: Arc<[_]> = connections.into_iter().map(ExecutionServiceClient::new).collect();

    let prompt = async |name: &'static str| {
        let clients = Arc::clone(&registry);
        let get = move |caller: usize| get_prompt(clients[caller % CONNECTIONS].clone(), name);
        closed_loop(READERS, ROUND, get).await
    };
    compare(
        "GetPrompt of a chat of 10, over a text",
        0.9,
        &ledger,
        async || prompt("text").await,
        async || prompt("chat").await,
    )
    .await?;
    let version = async || {
        let clients = Arc::clone(&registry);
        closed_loop(READERS, ROUND, move |caller| get_labelled(clients[caller % CONNECTIONS].clone())).await
    };
    compare("GetVersion by label, over GetPrompt", 0.97, &ledger, async || prompt("greet").await, version).await?;
    let execute = async |selector: Option<execution_spec::Selector>| {
        let clients = Arc::clone(&executions);
        let run = move |caller: usize| run_execution(clients[caller % CONNECTIONS].clone(), selector.clone());
        closed_loop(CALLERS, ROUND, run).await
    };
    let label = || Some(execution_spec::Selector::Label(LABEL.into()));
    let (by_pointer, by_label) = (async || execute(None).await, async || execute(label()).await);
    compare("RunExecution by label, over by pointer", 0.97, &ledger, by_pointer, by_label).await
}

/// The sizes of both subjects are equal: calls per second and CPU of the server of the second over the first.
async fn compare(
    what: &str,
    aim: f64,
    ledger: &Ledger,
    first: impl AsyncFn() -> Result<Times, FigureError>,
    second: impl AsyncFn() -> Result<Times, FigureError>,
) -> Result<(), FigureError> {
    let (mut rates, mut costs) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let before = cpu_seconds(ledger.pid());
        let one = first().await?;
        let between = cpu_seconds(ledger.pid());
        let two = second().await?;
        let after = cpu_seconds(ledger.pid());
        rates.push(two.rate() / one.rate());
        costs.push((after - between) / two.calls() / ((between - before) / one.calls()));
    }
    println!("{what:40} rate x {:.3} (aim {aim}), CPU x {:.3}", median(rates), median(costs));
    Ok(())
}

async fn get_prompt(mut client: RegistryServiceClient<Connection>, name: &'static str) -> Result<(), FigureError> {
    let request = v1::GetPromptRequest { name: name.into(), min_revision: None };
    client.get_prompt(request).await?;
    Ok(())
}

async fn get_labelled(mut client: RegistryServiceClient<Connection>) -> Result<(), FigureError> {
    let selector = Some(get_version_request::Selector::Label(LABEL.into()));
    let request = v1::GetVersionRequest { name: "greet".into(), selector, min_revision: None };
    client.get_version(request).await?;
    Ok(())
}

async fn run_execution(
    mut client: ExecutionServiceClient<Connection>,
    selector: Option<execution_spec::Selector>,
) -> Result<(), FigureError> {
    let spec = v1::ExecutionSpec { selector, ..spec("greet", &[("name", "Ada")]) };
    client.run_execution(v1::RunExecutionRequest { spec: Some(spec) }).await?;
    Ok(())
}

/// Registers the chat; the size of its answer, encoded.
async fn put_chat(ledger: &Ledger) -> Result<usize, FigureError> {
    let entry = |number: usize| {
        let role = if number.is_multiple_of(2) { "system" } else { "user" };
        let message = v1::ChatMessage { role: role.into(), content: SENTENCE.into(), ..v1::ChatMessage::default() };
        v1::ChatTemplateEntry { entry: Some(Entry::Message(message)) }
    };
    let entries = (0..ENTRIES).map(entry).collect();
    let params = v1::ModelParams { temperature: Some(0.2), max_new_tokens: Some(500), ..v1::ModelParams::default() };
    let config = v1::VersionConfig { params: Some(params), ..v1::VersionConfig::default() };
    let request = v1::PutPromptRequest {
        template: Some(put_prompt_request::Template::ChatTemplate(v1::ChatTemplate { entries })),
        config: Some(config),
        set_active: true,
        ..put("chat", "")
    };
    ledger.registry().put_prompt(request).await?;
    // For the size of what stands beside the text.
    ledger.active("text", "x").await;
    read(ledger, "chat").await
}

/// The size of GetPrompt's answer, encoded.
async fn read(ledger: &Ledger, name: &str) -> Result<usize, FigureError> {
    let request = v1::GetPromptRequest { name: name.into(), min_revision: None };
    Ok(ledger.registry().get_prompt(request).await?.into_inner().encoded_len())
}
