//! Forged page tokens: with the scope of the right list, and another key.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use prompt_ledger_proto::v1;
use prompt_ledger_proto::v1::analytics_service_client::AnalyticsServiceClient;
use prompt_ledger_testkit::ledger::{Ledger, put, spec};
use tonic::{Code, Status};

use super::{ledger, refused};

/// The length of the scope that a token begins with.
const SCOPE_BYTES: usize = 8;

/// Every list of the contract.
#[derive(Clone, Copy, Debug)]
enum List {
    Prompts,
    Versions,
    History,
    Models,
    Executions,
    Usage,
}

/// The token of the next page.
async fn page(ledger: &Ledger, list: List, page_token: String) -> Result<String, Status> {
    let (page_size, name) = (1, "greet".to_owned());
    let mut registry = ledger.registry();
    Ok(match list {
        List::Prompts => {
            let request = v1::ListPromptsRequest { page_size, page_token, ..Default::default() };
            registry.list_prompts(request).await?.into_inner().next_page_token
        }
        List::Versions => {
            let request = v1::ListVersionsRequest { name, page_size, page_token };
            registry.list_versions(request).await?.into_inner().next_page_token
        }
        List::History => {
            let request = v1::GetPromptHistoryRequest { name, page_size, page_token, ..Default::default() };
            registry.get_prompt_history(request).await?.into_inner().next_page_token
        }
        List::Models => {
            let request = v1::ListModelsRequest { page_size, page_token, ..Default::default() };
            registry.list_models(request).await?.into_inner().next_page_token
        }
        List::Executions => {
            let request = v1::ListExecutionsRequest { page_size, page_token, ..Default::default() };
            ledger.executions().list_executions(request).await?.into_inner().next_page_token
        }
        List::Usage => {
            let group_by = vec![v1::UsageDimension::Prompt.into()];
            let request = v1::QueryUsageRequest { group_by, page_size, page_token, ..Default::default() };
            let mut analytics = AnalyticsServiceClient::new(ledger.connection());
            analytics.query_usage(request).await?.into_inner().next_page_token
        }
    })
}

#[tokio::test]
async fn a_token_with_a_forged_key_is_refused_by_every_list() {
    let ledger = ledger().start().await;
    for (name, text) in [("greet", "one"), ("greet", "two"), ("other", "one")] {
        let request = v1::PutPromptRequest { set_active: true, ..put(name, text) };
        ledger.registry().put_prompt(request).await.unwrap();
        ledger.run(spec(name, &[])).await;
    }
    let (id, huge, long) = ("018f3f5e-0000-7000-8000-000000000001", "9".repeat(40), "a".repeat(5_000));
    let (no_time, no_id, overflow) = (format!("x {id}"), "5 x".to_owned(), format!("{huge} {id}"));
    let everywhere: [&[u8]; 5] = [b"", b"\0", b" ", b"!/", b"\xff\xfe"];
    for (list, forged) in [
        (List::Prompts, &["a b", "a/b", "-a", &long][..]),
        (List::Versions, &["x", "0", "-1", "1.5", &huge]),
        (List::History, &["x", "0", "-1", "1.5", &huge]),
        (List::Models, &["openai", "openai/", "/gpt", "a b/c", "openai/\0", &format!("openai/{long}")]),
        (List::Executions, &["5", id, &no_time, &no_id, &overflow]),
        (
            List::Usage,
            &[
                "[]",
                "{}",
                "[null,null,null,null,null,null,null]",
                "[1,null,\"greet\",null,null,null,null]",
                "[null,null,\"a\\u0000\",null,null,null,null]",
                "[null,\"x\",\"greet\",null,null,null,null]",
            ],
        ),
    ] {
        let token = page(&ledger, list, String::new()).await.unwrap();
        let bytes = URL_SAFE_NO_PAD.decode(&token).unwrap();
        let with_key = |key: &[u8]| URL_SAFE_NO_PAD.encode([&bytes[..SCOPE_BYTES], key].concat());
        assert_eq!(with_key(&bytes[SCOPE_BYTES..]), token);
        page(&ledger, list, token).await.unwrap();
        for key in forged.iter().map(|key| key.as_bytes()).chain(everywhere) {
            let refusal = page(&ledger, list, with_key(key)).await;
            assert!(refusal.is_err(), "{list:?} takes {:?}", String::from_utf8_lossy(key));
            refused(refusal, Code::InvalidArgument, "PAGE_TOKEN_INVALID");
        }
    }
    assert!(!ledger.output().iter().any(|line| line.contains("ERROR")), "{:?}", ledger.output());
}
