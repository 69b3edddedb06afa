use uuid::Uuid;

use strum::VariantArray as _;

use super::*;
use crate::ids::PromptId;
use crate::mode::Mode;

fn prompt() -> Prompt {
    Prompt {
        id: PromptId(Uuid::nil()),
        project: "default".into(),
        name: "greet".into(),
        mode: Mode::Full,
        description: String::new(),
        owner_team: String::new(),
        tags: vec![],
        active_version: None,
        latest_version: 1,
        revision: 1,
        created_at: Timestamp(0),
        updated_at: Timestamp(0),
        archived_at: None,
        labels: vec![],
    }
}

fn logged(prompt: Prompt, versions: &[(i32, VersionStatus)], labels: &[(&str, i32)]) -> LoggedPrompt {
    let label = |(label, version_number): &(&str, i32)| PromptLabel {
        label: (*label).to_owned(),
        version_number: *version_number,
        set_at: Timestamp(0),
        set_by: String::new(),
    };
    let prompt = Prompt { labels: labels.iter().map(label).collect(), ..prompt };
    LoggedPrompt { prompt, versions: versions.to_vec() }
}

/// Each change in one line: kind, version, label, from, to.
fn told(before: Option<&LoggedPrompt>, after: &LoggedPrompt) -> Vec<String> {
    let line = |change: WhatChanged| {
        let WhatChanged { kind, version, label, from, to } = change;
        format!("{kind} {} {label} {from}>{to}", number_of(version))
    };
    changes(before, after).into_iter().map(line).collect()
}

use VersionStatus::{Active, Deprecated, Draft};

#[test]
fn a_repeat_without_effect_adds_nothing() {
    let state = logged(prompt(), &[(1, Draft)], &[("production", 1)]);
    let prompt = Prompt { revision: 9, updated_at: Timestamp(9), ..state.prompt.clone() };
    let later = LoggedPrompt { prompt, ..state.clone() };
    assert_eq!(told(Some(&state), &later), Vec::<String>::new());
}

#[test]
fn a_new_prompt_is_created_with_its_version() {
    let after = logged(Prompt { active_version: Some(1), ..prompt() }, &[(1, Active)], &[("production", 1)]);
    let expected = ["created   >full", "version_created 1  >active", "activated 1  >1", "label_set 1 production >1"];
    assert_eq!(told(None, &after), expected);
    let drafted = Prompt { mode: Mode::Tracking, description: "d".into(), ..prompt() };
    assert_eq!(told(None, &logged(drafted, &[(1, Draft)], &[])), ["created   >tracking", "version_created 1  >draft"]);
}

#[test]
fn a_write_tells_all_that_it_did_in_one_order() {
    let before = logged(
        Prompt { active_version: Some(1), latest_version: 2, tags: vec!["a".into()], ..prompt() },
        &[(1, Active), (2, Deprecated)],
        &[("a", 1), ("b", 1), ("c", 2)],
    );
    let after = logged(
        Prompt {
            active_version: Some(2),
            latest_version: 3,
            description: "d".into(),
            owner_team: "t".into(),
            archived_at: Some(Timestamp(1)),
            mode: Mode::Tracking,
            ..prompt()
        },
        &[(1, Active), (2, Active), (3, Draft)],
        &[("a", 1), ("b", 2), ("d", 3)],
    );
    let expected = [
        "version_created 3  >draft",
        "activated 2  1>2",
        "status 2  deprecated>active",
        "label_set 2 b 1>2",
        "label_set 3 d >3",
        "label_removed 2 c 2>",
        r#"metadata   {"description":"","owner_team":"","tags":["a"]}>{"description":"d","owner_team":"t","tags":[]}"#,
        "archived   >",
        "mode_migrated   full>tracking",
    ];
    assert_eq!(told(Some(&before), &after), expected);
}

#[test]
fn each_way_back_is_told_too() {
    let before = logged(Prompt { archived_at: Some(Timestamp(1)), ..prompt() }, &[(1, Draft)], &[]);
    let after = logged(Prompt { tags: vec!["t".into()], ..prompt() }, &[], &[]);
    assert_eq!(told(Some(&before), &after), [r#"metadata   {"tags":[]}>{"tags":["t"]}"#, "unarchived   >"]);
    // A version whose status the write did not read has not changed.
    let unread = logged(prompt(), &[], &[]);
    assert_eq!(told(Some(&unread), &logged(prompt(), &[(1, Active)], &[])), Vec::<String>::new());
}

#[test]
fn kinds_have_the_words_that_are_stored() {
    let words: Vec<_> = ChangeKind::VARIANTS.iter().map(|kind| <&str>::from(*kind)).collect();
    let expected = [
        "created",
        "version_created",
        "activated",
        "status",
        "label_set",
        "label_removed",
        "metadata",
        "archived",
        "unarchived",
        "mode_migrated",
    ];
    assert_eq!(words, expected);
    assert_eq!("label_set".parse().ok(), Some(ChangeKind::LabelSet));
}
