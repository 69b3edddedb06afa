//! Usage, models and health.

use std::time::{SystemTime, UNIX_EPOCH};

use prompt_ledger_client::v1;
use prompt_ledger_testkit::fake_model::Reply;
use prompt_ledger_testkit::ledger::{DEVELOPMENT_KEY, spec};
use prompt_ledger_testkit::vacant::vacant;
use serde_json::json;

use super::{ledger, ledgerctl, lines, run, text};

/// The words of each line.
fn words(shown: &[u8]) -> Vec<String> {
    text(shown).lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
}

/// How far ahead of UTC a place is in whose day there are six hours at least until midnight.
fn utc_offset() -> &'static str {
    let hours = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() / 3_600;
    if (6..18).contains(&(hours % 24)) { "+00:00" } else { "+12:00" }
}

#[tokio::test]
async fn usage_is_a_table_by_what_is_asked_for_with_its_sum() {
    let (ledger, model) = ledger().await;
    ledger.active("other", "bye").await;
    let by_day = ["usage", "--bucket", "day", "--utc-offset", utc_offset()];
    model.next(Reply::status(400, r#"{"error":{"message":"no"}}"#));
    for (prompt, environment) in [("greet", "dev"), ("greet", "prod"), ("other", "prod")] {
        let spec = v1::ExecutionSpec { environment: environment.into(), ..spec(prompt, &[]) };
        ledger.run(spec).await;
    }
    let output = run(ledgerctl(&ledger, &["usage", "--by", "prompt", "--by", "environment"])).await;
    let rows = words(&output.stdout);
    assert!(output.status.success(), "{output:?}");
    assert!(rows[0].starts_with("PROMPT ENVIRONMENT RUNS OK FAILED"), "{rows:?}");
    for (row, beginning) in
        [(1, "greet dev 1 0 1 0 0"), (2, "greet prod 1 1 0 0 0"), (3, "other prod 1 1 0 0 0"), (4, "all 3 2 1 0 0")]
    {
        assert!(rows[row].starts_with(beginning), "{beginning}: {rows:?}");
    }
    let by_status = [&by_day[..], &["--by", "status", "--prompt", "greet"]].concat();
    let output = run(ledgerctl(&ledger, &by_status)).await;
    let rows = words(&output.stdout);
    assert!(rows[0].ends_with("COST OVER TIME") && rows[1].ends_with('█'), "{rows:?}");
    assert!(rows[1].starts_with("failed 1 0 1") && rows[2].starts_with("succeeded 1 1 0"), "{rows:?}");
    let first = [&by_day[..], &["--by", "prompt", "--limit", "1", "--jsonl"]].concat();
    let output = run(ledgerctl(&ledger, &first)).await;
    let rows = lines(&output.stdout);
    assert_eq!((rows.len(), &rows[0]["prompt_name"], &rows[0]["execution_count"]), (1, &json!("greet"), &json!(2)));
    assert!(text(&output.stderr).contains("--limit 0"), "{output:?}");
    let output = run(ledgerctl(&ledger, &["usage", "--summary"])).await;
    assert!(text(&output.stdout).contains("3: 2 succeeded, 1 failed"), "{output:?}");
    let output = run(ledgerctl(&ledger, &["usage", "--prompt", "nobody"])).await;
    assert_eq!((&*text(&output.stdout), &*text(&output.stderr)), ("", "none\n"));
}

#[tokio::test]
async fn a_price_is_written_in_dollars_exactly() {
    let (ledger, _model) = ledger().await;
    let put = ["models", "put", "echo/echo", "--input", "0.000000001", "--cached-input", "0.05", "--output", "0.6"];
    let output = run(ledgerctl(&ledger, &[&put[..], &["--images", "false", "--json"]].concat())).await;
    let model: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let price = &model["prices"][0];
    assert_eq!(price["input_nano_usd_per_million"], json!(1));
    assert_eq!(price["cached_input_nano_usd_per_million"], json!(50_000_000));
    assert_eq!(price["output_nano_usd_per_million"], json!(600_000_000));
    assert_eq!(model["capabilities"]["images"], json!(false));
    let listed = words(&run(ledgerctl(&ledger, &["models", "--provider", "echo"])).await.stdout);
    assert!(listed.iter().any(|row| row == "echo/echo $0.000000001 $0.05 $0.60 - streaming images"), "{listed:?}");
    for (arguments, said) in [
        (&["models", "put", "echo/echo", "--input", "1"][..], "--output"),
        (&["models", "put", "echo/echo", "--input", "1", "--output", "1e3"], "as 0.15"),
        (&["models", "put", "echo"], "PROVIDER/NAME"),
        (&["models", "put", "nobody/x"], "nobody"),
    ] {
        let output = run(ledgerctl(&ledger, arguments)).await;
        assert!(output.status.code() == Some(2) && text(&output.stderr).contains(said), "{arguments:?}: {output:?}");
    }
}

#[tokio::test]
async fn health_tells_of_the_server_and_of_the_key() {
    let (ledger, _model) = ledger().await;
    let output = run(ledgerctl(&ledger, &["health"])).await;
    assert!(output.status.success() && text(&output.stdout).contains(" serves, answered within "), "{output:?}");
    let output = run(ledgerctl(&ledger, &["health", "--json"])).await;
    let told: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&told["serving"], &told["key_accepted"]), (&json!(true), &json!(true)));
    assert!(!text(&output.stdout).contains(DEVELOPMENT_KEY));
    let mut wrong = ledgerctl(&ledger, &["health"]);
    wrong.env("LEDGER_API_KEY", "pl_wrong-and-secret");
    let output = run(wrong).await;
    assert!(output.status.code() == Some(2) && text(&output.stderr).contains("does not take this key"), "{output:?}");
    let (_socket, url) = vacant();
    let output = run(ledgerctl(&ledger, &["health", "--server", &url])).await;
    assert!(output.status.code() == Some(3) && text(&output.stderr).contains("prompt-ledger dev"), "{output:?}");
}
