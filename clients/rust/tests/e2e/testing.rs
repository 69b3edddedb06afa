use prompt_ledger_client::testing::dev_server;
use prompt_ledger_client::v1::{PutPromptRequest, put_prompt_request::Template};

#[tokio::test]
async fn a_prompt_is_there_once_it_is_put() -> Result<(), Box<dyn std::error::Error>> {
    let server = dev_server()?;
    let ledger = server.connect()?;
    let template = Some(Template::TemplateSource("Say hello to {{name}}.".into()));
    let greet = PutPromptRequest { name: "greet".into(), template, set_active: true, ..Default::default() };
    ledger.prompts().put(greet).await?;
    assert!(ledger.prompts().get("greet").await?.active_version.is_some());
    Ok(())
}
