//! Edits against a real server, with the answers that a user would type.

use std::path::PathBuf;

use clap::Parser;
use prompt_ledger_testkit::ledger::{DEVELOPMENT_KEY, Ledger, built_binary, server};

use super::*;
use crate::connection::ConnectionArgs;
use crate::output::AnswerFormat;

#[derive(Parser)]
struct TestLine {
    #[command(flatten)]
    connection: ConnectionArgs,
    #[command(flatten)]
    edit: EditArgs,
}

struct Edited {
    ended: Result<ExitCode, CommandError>,
    answers: String,
    notes: String,
}

impl Edited {
    fn refusal(self) -> String {
        self.ended.unwrap_err().to_string()
    }
}

async fn ledger() -> Ledger {
    let ledger = server(built_binary()).start().await;
    ledger.active("greet", "Be brief.\nHi {{name}}\n").await;
    ledger
}

/// Edits `greet` by a shell command, and types these answers; absent: there is no terminal.
async fn edit(ledger: &Ledger, arguments: &[&str], editor: &str, typed: Option<&'static str>) -> Edited {
    let url = format!("http://{}", ledger.addr);
    let line = [&["edit", "greet", "--server", &url, "--key", DEVELOPMENT_KEY], arguments].concat();
    let TestLine { connection, edit } = TestLine::parse_from(line);
    let questions = typed.map_or_else(Questions::of_nobody, Questions::answered);
    let (mut answers, mut notes) = (Vec::new(), Vec::new());
    let mut output = Output::of(&mut answers, &mut notes, AnswerFormat::Text);
    let connection = connection.connect().unwrap();
    let ended = edit.run_with(EditorCommand::of(editor), questions, &connection, &mut output).await;
    drop(output);
    Edited { ended, answers: String::from_utf8(answers).unwrap(), notes: String::from_utf8(notes).unwrap() }
}

/// The active version's number and text.
async fn active(ledger: &Ledger) -> (i32, String) {
    let request = prompt_ledger_client::v1::GetPromptRequest { name: "greet".into(), min_revision: None };
    let version = ledger.registry().get_prompt(request).await.unwrap().into_inner().active_version.unwrap();
    let Some(prompt_ledger_client::v1::prompt_version::Template::TemplateSource(text)) = version.template else {
        panic!("no text")
    };
    (version.version_number, text)
}

/// The file that is told of, which is removed.
fn kept(told: &str) -> String {
    let path = told.split("what you wrote is in ").nth(1).unwrap().lines().next().unwrap();
    let path = PathBuf::from(path);
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::remove_dir_all(path.parent().unwrap()).unwrap();
    text
}

const SHORTER: &str = "sed -i s/brief/short/";
const BROKEN: &str = "sed -i 's/{{name}}/{{name/'";

fn code(ended: Result<ExitCode, CommandError>) -> String {
    format!("{:?}", ended.unwrap())
}

#[tokio::test]
async fn what_was_written_is_shown_and_saved_once_the_user_agrees() {
    let ledger = ledger().await;
    let edited = edit(&ledger, &["--label", "production", "--note", "shorter"], SHORTER, Some("y\n")).await;
    assert!(
        edited.notes.contains("- Be brief.\n+ Be short.\n") && edited.notes.contains("Save it and make"),
        "{}",
        edited.notes
    );
    assert_eq!(edited.answers, "greet: version 2 is new, active\n");
    assert_eq!(active(&ledger).await, (2, "Be short.\nHi {{name}}\n".into()));
    let request = prompt_ledger_client::v1::GetPromptRequest { name: "greet".into(), min_revision: None };
    let got = ledger.registry().get_prompt(request).await.unwrap().into_inner();
    let (prompt, version) = (got.prompt.unwrap(), got.active_version.unwrap());
    assert_eq!(
        (&*prompt.labels[0].label, prompt.labels[0].version_number, &*version.note),
        ("production", 2, "shorter")
    );
}

#[tokio::test]
async fn who_does_not_save_keeps_what_was_written() {
    let ledger = ledger().await;
    let edited = edit(&ledger, &[], SHORTER, Some("n\n")).await;
    assert!(kept(&edited.notes).ends_with("Be short.\nHi {{name}}\n"));
    assert_eq!(code(edited.ended), code(Ok(ExitCode::from(NO))));
    assert_eq!(active(&ledger).await.0, 1);
    let edited = edit(&ledger, &[], "true", Some("")).await;
    assert!(edited.notes.contains("nothing was changed"), "{}", edited.notes);
    assert_eq!(code(edited.ended), code(Ok(ExitCode::SUCCESS)));
}

#[tokio::test]
async fn what_is_invalid_is_told_and_edited_again() {
    let ledger = ledger().await;
    // The second time it is mended.
    let editor = "mend() { if grep -q '{{name$' \"$1\"; then sed -i 's/{{name$/{{name}}!/' \"$1\"; else \
                  sed -i 's/{{name}}/{{name/' \"$1\"; fi; }; mend";
    let edited = edit(&ledger, &[], editor, Some("e\ny\n")).await;
    assert!(edited.notes.starts_with("line 5, column 4: ") && edited.notes.contains("edit again"), "{}", edited.notes);
    assert_eq!(active(&ledger).await, (2, "Be brief.\nHi {{name}}!\n".into()));
    let edited = edit(&ledger, &[], BROKEN, Some("n\n")).await;
    assert!(kept(&edited.notes).contains("{{name!\n"));
    assert_eq!(active(&ledger).await.0, 2);
    let edited = edit(&ledger, &[], "sed -i s/greet/other/", Some("n\n")).await;
    assert!(edited.notes.contains("a prompt keeps its name"), "{}", edited.notes);
    kept(&edited.notes);
    let edited = edit(&ledger, &[], "sed -i 's/^---$/----/'", Some("n\n")).await;
    kept(&edited.notes);
}

#[tokio::test]
async fn what_somebody_else_wrote_meanwhile_is_shown_before_anything_is_overwritten() {
    let ledger = ledger().await;
    let other = |text: &str| format!("put() {{ {} && sed -i s/brief/short/ \"$1\"; }}; put", put(&ledger, text));
    let edited = edit(&ledger, &[], &other("Be kind.\n"), Some("y\ny\ny\n")).await;
    for said in [
        "written by somebody else",
        "version created, version 2",
        "by bob",
        "- Be brief.\n",
        "+ Be kind.\n",
        "over it?",
    ] {
        assert!(edited.notes.contains(said), "{said}: {}", edited.notes);
    }
    // What is asked at last is compared with what is active now.
    assert!(edited.notes.ends_with("--- greet version 2\n+++ greet as you wrote it\ntext\n- Be kind.\n+ Be short.\n+ Hi {{name}}\nSave it and make it the active version? [y: yes, e: edit again, n: no] "), "{}", edited.notes);
    assert_eq!(active(&ledger).await, (3, "Be short.\nHi {{name}}\n".into()));
    let other = |text: &str| format!("put() {{ {} && sed -i s/short/terse/ \"$1\"; }}; put", put(&ledger, text));
    let edited = edit(&ledger, &[], &other("Be nice.\n"), Some("y\nn\n")).await;
    assert!(kept(&edited.notes).contains("Be terse."));
    assert_eq!(active(&ledger).await, (4, "Be nice.\n".into()));
    // Nobody agrees to what nobody saw.
    let change = format!("put() {{ {} && echo more >> \"$1\"; }}; put", put(&ledger, "Be odd.\n"));
    let refusal = edit(&ledger, &["--yes"], &change, None).await.refusal();
    assert!(refusal.contains("prompt changes greet"), "{refusal}");
    assert!(kept(&refusal).ends_with("Be nice.\nmore\n"));
}

/// A shell command by which `bob` puts a text.
fn put(ledger: &Ledger, text: &str) -> String {
    let body = serde_json::json!({"template_source": text, "set_active": true, "created_by": "bob"});
    let headers = format!("-H 'X-API-Key: {DEVELOPMENT_KEY}' -H 'Content-Type: application/json'");
    format!("curl -sf -X PUT {}/v1/prompts/greet {headers} -d '{body}' > /dev/null", ledger.http)
}

#[tokio::test]
async fn scripts_save_without_a_terminal_only_by_yes() {
    let ledger = ledger().await;
    let refusal = edit(&ledger, &[], SHORTER, None).await.refusal();
    assert!(refusal.contains("--yes") && refusal.contains("prompt put"), "{refusal}");
    let refusal = edit(&ledger, &["--yes"], BROKEN, None).await.refusal();
    assert!(kept(&refusal).contains("{{name\n"), "{refusal}");
    let edited = edit(&ledger, &["--yes", "--no-activate"], SHORTER, None).await;
    assert_eq!(edited.answers, "greet: version 2 is new, draft; active is 1\n");
    let refusal = edit(&ledger, &["--yes"], "false", None).await.refusal();
    assert!(refusal.contains("nothing is saved") && !refusal.contains("what you wrote"), "{refusal}");
}

#[tokio::test]
async fn an_edit_begins_with_the_version_that_is_named() {
    let ledger = ledger().await;
    edit(&ledger, &["--yes"], SHORTER, None).await.ended.unwrap();
    let edited = edit(&ledger, &["--yes", "--from", "1"], "sed -i s/brief/exact/", None).await;
    assert!(edited.notes.contains("--- greet version 1\n"), "{}", edited.notes);
    assert_eq!(active(&ledger).await, (3, "Be exact.\nHi {{name}}\n".into()));
}
