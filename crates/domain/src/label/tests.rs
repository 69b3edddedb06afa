use uuid::Uuid;

use super::*;
use crate::error::Reason;
use crate::ids::PromptId;

fn prompt(mode: Mode) -> Prompt {
    Prompt {
        id: PromptId(Uuid::nil()),
        project: "default".into(),
        name: "greet".into(),
        mode,
        description: String::new(),
        owner_team: String::new(),
        tags: vec![],
        active_version: Some(1),
        latest_version: 3,
        revision: 1,
        created_at: Timestamp(0),
        updated_at: Timestamp(0),
        archived_at: None,
        labels: vec![],
    }
}

fn version(number: i32, status: VersionStatus, format: TemplateFormat) -> LabelTarget {
    LabelTarget { number, status, format }
}

fn text(number: i32) -> LabelTarget {
    version(number, VersionStatus::Draft, TemplateFormat::Handlebars)
}

fn label(label: &str, version_number: i32) -> PromptLabel {
    PromptLabel { label: label.into(), version_number, set_at: Timestamp(0), set_by: String::new() }
}

fn labelled(mode: Mode, labels: &[PromptLabel]) -> Prompt {
    Prompt { labels: labels.to_vec(), ..prompt(mode) }
}

fn move_to(labels: &[PromptLabel], name: &str, target: LabelTarget) -> Result<LabelMove> {
    set(&labelled(Mode::Full, labels), name, target)
}

#[test]
fn labels_have_the_names_of_prompts_but_for_those_built_in() {
    for name in ["production", "eu-west", "Active", "v1.2_x"] {
        assert_eq!(check_name("label", name).unwrap().as_str(), name);
    }
    for name in ["active", "latest", "", "a b", "a/b", &"x".repeat(129)] {
        let error = check_name("label", name).unwrap_err();
        assert_eq!((error.reason(), &*error.parts().violations[0].field), (Reason::InvalidField, "label"), "{name}");
    }
}

#[test]
fn the_labels_of_a_request_are_few_and_distinct() {
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    check_names("labels", &names(&[])).unwrap();
    check_names("labels", &(0..64).map(|i| i.to_string()).collect::<Vec<_>>()).unwrap();
    for (labels, expected) in [
        ((0..65).map(|i| i.to_string()).collect(), "labels"),
        (names(&["a", "active"]), "labels[1]"),
        (names(&["a", "b", "a"]), "labels[2]"),
        (names(&["a b"]), "labels[0]"),
    ] {
        assert_eq!(check_names("labels", &labels).unwrap_err().parts().violations[0].field, expected);
    }
}

#[test]
fn a_label_is_made_moved_or_left() {
    let labels = [label("production", 1), label("staging", 2)];
    assert_eq!(move_to(&labels, "eu-west", text(1)).unwrap(), LabelMove::New);
    assert_eq!(move_to(&labels, "production", text(2)).unwrap(), LabelMove::From(1));
    assert_eq!(move_to(&labels, "production", text(1)).unwrap(), LabelMove::Unchanged);
    // One that is there already is left, whatever became of its version.
    let retired = version(1, VersionStatus::Deprecated, TemplateFormat::Handlebars);
    assert_eq!(move_to(&labels, "production", retired).unwrap(), LabelMove::Unchanged);
    let error = move_to(&labels, "staging", retired).unwrap_err();
    assert_eq!((error.reason(), &*error.parts().violations[0].field), (Reason::InvalidField, "version_number"));
}

#[test]
fn a_prompt_has_at_most_64_labels() {
    let labels: Vec<_> = (0..64).map(|i| label(&i.to_string(), 1)).collect();
    assert_eq!(move_to(&labels, "0", text(2)).unwrap(), LabelMove::From(1));
    let error = move_to(&labels, "64", text(2)).unwrap_err();
    assert_eq!((error.reason(), &*error.parts().violations[0].field), (Reason::InvalidField, "label"));
    assert_eq!(move_to(&labels[1..], "64", text(2)).unwrap(), LabelMove::New);
}

#[test]
fn an_opaque_version_is_labelled_in_tracking_mode_alone() {
    let opaque = version(2, VersionStatus::Active, TemplateFormat::Opaque);
    assert_eq!(set(&prompt(Mode::Tracking), "production", opaque).unwrap(), LabelMove::New);
    assert_eq!(set(&prompt(Mode::Full), "production", opaque).unwrap_err().reason(), Reason::TemplateOpaque);
    let tracked = labelled(Mode::Tracking, &[label("production", 1), label("staging", 2)]);
    let refused = check_migration(&tracked, &[2, 3], Mode::Full).unwrap_err();
    assert_eq!(refused.reason(), Reason::TemplateOpaque);
    assert!(refused.to_string().contains("version 2"), "{refused}");
    check_migration(&tracked, &[2, 3], Mode::Tracking).unwrap();
    check_migration(&tracked, &[3], Mode::Full).unwrap();
    check_migration(&Prompt { mode: Mode::Full, ..tracked }, &[2], Mode::Full).unwrap();
}

#[test]
fn labels_stand_by_name_with_who_set_them_and_when() {
    let mut held = labelled(Mode::Full, &[label("a", 1), label("c", 1)]);
    assert_eq!(point(&mut held, "b", text(2), Timestamp(5), "ada").unwrap(), LabelMove::New);
    assert_eq!(point(&mut held, "c", text(2), Timestamp(6), "bob").unwrap(), LabelMove::From(1));
    assert_eq!(point(&mut held, "b", text(2), Timestamp(7), "eve").unwrap(), LabelMove::Unchanged);
    let told: Vec<_> = held.labels.iter().map(|l| (&*l.label, l.version_number, l.set_at.0, &*l.set_by)).collect();
    assert_eq!(told, [("a", 1, 0, ""), ("b", 2, 5, "ada"), ("c", 2, 6, "bob")]);
    assert_eq!(remove(&mut held, "b").unwrap(), 2);
    assert_eq!(remove(&mut held, "b").unwrap_err().reason(), Reason::LabelNotFound);
    assert_eq!(held.labels.len(), 2);
}

#[test]
fn a_label_is_found_by_its_name() {
    let held = labelled(Mode::Full, &[label("production", 1)]);
    assert_eq!(find(&held, "production").unwrap(), &held.labels[0]);
    assert_eq!(find(&held, "Production").unwrap_err().reason(), Reason::LabelNotFound);
}

#[test]
fn a_labelled_version_is_not_deprecated() {
    let held = labelled(Mode::Full, &[label("production", 1)]);
    check_unlabelled(&held, 2).unwrap();
    let error = check_unlabelled(&held, 1).unwrap_err();
    assert_eq!(error.reason(), Reason::VersionInUse);
    assert!(error.to_string().contains("`production`"), "{error}");
}
