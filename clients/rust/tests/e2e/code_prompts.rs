//! Prompts whose text lives in code.

use prompt_ledger_client::v1::{self, ErrorReason, RegistrationAction as Action};
use prompt_ledger_client::{code_prompts_from_folder, code_prompts_from_texts};
use prompt_ledger_testkit::fake_model::FakeModel;
use prompt_ledger_testkit::ledger::spec;

use super::{Read, client, ledger};

fn registering(text: &str) -> v1::RegisterCodePromptsRequest {
    let prompts = code_prompts_from_texts([("WELCOME", text)]);
    v1::RegisterCodePromptsRequest { prompts, ..v1::RegisterCodePromptsRequest::default() }
}

#[tokio::test]
async fn every_way_of_executing_runs_the_text_in_hand_while_another_release_registers_its_own() {
    let model = FakeModel::start().await;
    let ledger = ledger(&model).start().await;
    let (mine, others) = (client(&ledger), client(&ledger));
    let registered = mine.register_code_prompts(registering("mine")).await.unwrap();
    assert_eq!((registered.registered[0].action(), registered.revision), (Action::New, 1));
    others.register_code_prompts(registering("others")).await.unwrap();
    let welcome = || spec("WELCOME", &[]);
    let ran = mine.execute("WELCOME", spec("", &[])).await.unwrap().execution;
    let streamed = Read::default().read_out(&mut mine.stream_code(welcome())).await.clone();
    let handle = mine.submit_code(welcome()).await.unwrap();
    let submission = handle.submission().unwrap().clone();
    assert_eq!((&*submission.prompt_name, submission.version_number, handle.reused()), ("WELCOME", 1, false));
    let submitted = handle.result(None).await.unwrap();
    for execution in [ran, streamed, submitted] {
        assert_eq!((&*execution.rendered_prompt, execution.version_number), ("mine", 1));
    }
    // What is selected is taken, and where nothing was registered it is the active version.
    let chosen = v1::execution_spec::Selector::VersionNumber(2);
    let chosen = v1::ExecutionSpec { selector: Some(chosen), ..welcome() };
    assert_eq!(mine.submit_code(chosen).await.unwrap().submission().unwrap().version_number, 2);
    assert_eq!(client(&ledger).submit_code(welcome()).await.unwrap().submission().unwrap().version_number, 2);
}

#[tokio::test]
async fn a_submit_of_a_prompt_in_code_keeps_a_key_and_refuses_another_mode() {
    let model = FakeModel::start().await;
    let ledger = ledger(&model).start().await;
    ledger.active("greet", "hello").await;
    let client = client(&ledger);
    let refused = client.submit_code(spec("greet", &[])).await.unwrap_err();
    assert_eq!(refused.reason, ErrorReason::ModeMismatch);
    client.register_code_prompts(registering("mine")).await.unwrap();
    let keyed = || v1::ExecutionSpec { idempotency_key: "order-1".into(), ..spec("WELCOME", &[]) };
    let (first, again) = (client.submit_code(keyed()).await.unwrap(), client.submit_code(keyed()).await.unwrap());
    assert_eq!((first.id(), first.reused(), again.reused()), (again.id(), false, true));
    assert!(client.handle(first.id()).submission().is_none());
}

#[tokio::test]
async fn a_dry_run_shows_what_differs_and_writes_nothing() {
    let model = FakeModel::start().await;
    let ledger = ledger(&model).start().await;
    let client = client(&ledger);
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("shop")).unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("shop/greeting.hbs", "Hello {{name}},\nwelcome.\n");
    let request = || {
        let prompts = code_prompts_from_folder(folder.path()).unwrap();
        v1::RegisterCodePromptsRequest { prompts, ..v1::RegisterCodePromptsRequest::default() }
    };
    let new = client.dry_run_code_prompts(request()).await.unwrap();
    assert_eq!((new.registered[0].action(), new.exit_code(), new.is_changed()), (Action::New, 1, true));
    assert!(new.diff.contains("--- /dev/null\n+++ shop.greeting (code, new)\n"), "{}", new.diff);
    let unwritten = client.prompts().get("shop.greeting").await.unwrap_err();
    assert_eq!(unwritten.reason, ErrorReason::PromptNotFound);
    assert!(client.execute("shop.greeting", spec("", &[("name", "Ada")])).await.is_err(), "nothing was registered");
    client.register_code_prompts(request()).await.unwrap();
    let same = client.dry_run_code_prompts(request()).await.unwrap();
    assert_eq!((&*same.diff, same.exit_code()), ("", 0));
    write("shop/greeting.hbs", "Hello {{name}},\nwelcome back.\n");
    write("bye.txt", "Bye");
    let changed = client.dry_run_code_prompts(request()).await.unwrap();
    let bye = changed.diff.find("+++ bye (code, new)").unwrap();
    let greeting = changed
        .diff
        .find(
            "--- shop.greeting (version 1)\n+++ shop.greeting (code, updated)\n@@ -1,2 +1,2 @@\n Hello {{name}},\n-welcome.\n\
             +welcome back.\n",
        )
        .unwrap();
    assert!(bye < greeting && changed.exit_code() == 1, "{}", changed.diff);
    assert_eq!(client.prompts().get("shop.greeting").await.unwrap().active_version.unwrap().version_number, 1);
}
