use uuid::Uuid;

use super::*;
use crate::content::VersionContent;
use crate::error::Reason;
use crate::ids::{PromptId, VersionId};
use crate::prompt::Source;

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
    }
}

fn version(number: i32, status: VersionStatus, format: TemplateFormat) -> Version {
    Version {
        id: VersionId(Uuid::nil()),
        prompt_id: PromptId(Uuid::nil()),
        number,
        status,
        content: VersionContent::text("Hi"),
        template_format: format,
        checksum_hash: VersionContent::text("Hi").checksum().unwrap(),
        variables: vec![],
        created_by: String::new(),
        created_at: Timestamp(0),
        source: Source::default(),
        note: String::new(),
    }
}

fn text(number: i32) -> Version {
    version(number, VersionStatus::Draft, TemplateFormat::Handlebars)
}

fn label(label: &str, version_number: i32) -> PromptLabel {
    PromptLabel { label: label.into(), version_number, set_at: Timestamp(0), set_by: String::new() }
}

fn move_to(labels: &[PromptLabel], name: &str, version: &Version) -> Result<LabelMove> {
    set(&prompt(Mode::Full), labels, &Name::parse("label", name).unwrap(), version)
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
    assert_eq!(move_to(&labels, "eu-west", &text(1)).unwrap(), LabelMove::New);
    assert_eq!(move_to(&labels, "production", &text(2)).unwrap(), LabelMove::From(1));
    assert_eq!(move_to(&labels, "production", &text(1)).unwrap(), LabelMove::Unchanged);
    // One that is there already is left, whatever became of its version.
    let retired = version(1, VersionStatus::Deprecated, TemplateFormat::Handlebars);
    assert_eq!(move_to(&labels, "production", &retired).unwrap(), LabelMove::Unchanged);
    let error = move_to(&labels, "staging", &retired).unwrap_err();
    assert_eq!((error.reason(), &*error.parts().violations[0].field), (Reason::InvalidField, "version_number"));
}

#[test]
fn a_prompt_has_at_most_64_labels() {
    let labels: Vec<_> = (0..64).map(|i| label(&i.to_string(), 1)).collect();
    assert_eq!(move_to(&labels, "0", &text(2)).unwrap(), LabelMove::From(1));
    let error = move_to(&labels, "64", &text(2)).unwrap_err();
    assert_eq!((error.reason(), &*error.parts().violations[0].field), (Reason::InvalidField, "label"));
    assert_eq!(move_to(&labels[1..], "64", &text(2)).unwrap(), LabelMove::New);
}

#[test]
fn an_opaque_version_is_labelled_in_tracking_mode_alone() {
    let opaque = version(2, VersionStatus::Active, TemplateFormat::Opaque);
    let name = Name::parse("label", "production").unwrap();
    assert_eq!(set(&prompt(Mode::Tracking), &[], &name, &opaque).unwrap(), LabelMove::New);
    assert_eq!(set(&prompt(Mode::Full), &[], &name, &opaque).unwrap_err().reason(), Reason::TemplateOpaque);
    let labelled = [text(1), opaque];
    let tracked = prompt(Mode::Tracking);
    let refused = check_migration(&tracked, labelled.iter(), Mode::Full).unwrap_err();
    assert_eq!(refused.reason(), Reason::TemplateOpaque);
    assert!(refused.to_string().contains("version 2"), "{refused}");
    check_migration(&tracked, labelled.iter(), Mode::Tracking).unwrap();
    check_migration(&tracked, labelled[..1].iter(), Mode::Full).unwrap();
    check_migration(&prompt(Mode::Full), labelled.iter(), Mode::Full).unwrap();
}

#[test]
fn a_label_is_found_by_its_name() {
    let labels = [label("production", 1)];
    assert_eq!(find(&prompt(Mode::Full), &labels, "production").unwrap(), &labels[0]);
    assert_eq!(find(&prompt(Mode::Full), &labels, "Production").unwrap_err().reason(), Reason::LabelNotFound);
}

#[test]
fn a_labelled_version_is_not_deprecated() {
    let labels = [label("production", 1)];
    check_unlabelled(&prompt(Mode::Full), &labels, 2).unwrap();
    let error = check_unlabelled(&prompt(Mode::Full), &labels, 1).unwrap_err();
    assert_eq!(error.reason(), Reason::VersionInUse);
    assert!(error.to_string().contains("`production`"), "{error}");
}
