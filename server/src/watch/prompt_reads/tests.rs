//! Parts of states.

use prompt_ledger_domain::Timestamp;
use prompt_ledger_domain::content::VersionContent;
use prompt_ledger_domain::ids::VersionId;
use prompt_ledger_domain::label::PromptLabel;
use prompt_ledger_domain::mode::Mode;
use prompt_ledger_domain::prompt::{Source, TemplateFormat, VersionStatus};
use prompt_ledger_runtime::new_id;

use super::*;

/// A prompt whose labels point at these versions.
fn prompt(active: Option<i32>, labelled: &[i32]) -> Arc<Prompt> {
    let label = |(place, number): (usize, &i32)| PromptLabel {
        label: format!("l{place}"),
        version_number: *number,
        set_at: Timestamp(0),
        set_by: String::new(),
    };
    Arc::new(Prompt {
        id: PromptId(new_id()),
        project: "default".into(),
        name: "greet".into(),
        mode: Mode::Full,
        description: String::new(),
        owner_team: String::new(),
        tags: vec![],
        active_version: active,
        latest_version: 99,
        revision: 7,
        created_at: Timestamp(0),
        updated_at: Timestamp(0),
        archived_at: None,
        labels: labelled.iter().enumerate().map(label).collect(),
    })
}

/// Versions of that many bytes, by number.
fn versions(of: &Prompt, sizes: &[(i32, usize)]) -> HashMap<(PromptId, i32), Version> {
    let version = |number, bytes| Version {
        id: VersionId(new_id()),
        prompt_id: of.id,
        number,
        status: VersionStatus::Draft,
        content: VersionContent::text("x".repeat(bytes)),
        template_format: TemplateFormat::Handlebars,
        checksum_hash: String::new(),
        variables: vec![],
        created_by: String::new(),
        created_at: Timestamp(0),
        source: Source::default(),
        note: String::new(),
    };
    sizes.iter().map(|(number, bytes)| ((of.id, *number), version(*number, *bytes))).collect()
}

fn short(part: &PromptPart) -> (Option<i32>, Vec<i32>, Vec<i32>) {
    let labelled = part.labelled.iter().map(|version| version.number).collect();
    (part.active.as_ref().map(|version| version.number), labelled, part.rest.clone())
}

#[test]
fn a_state_has_the_active_version_and_each_labelled_one_once() {
    for (active, labelled, expected) in [
        (None, &[][..], vec![]),
        (Some(3), &[], vec![3]),
        (None, &[5, 2, 5], vec![2, 5]),
        (Some(3), &[5, 3, 2], vec![3, 2, 5]),
    ] {
        assert_eq!(numbers(&prompt(active, labelled)), expected);
    }
}

#[test]
fn a_part_has_what_fits_and_at_least_one_version() {
    let half = PART_BYTES / 2;
    let of = prompt(Some(1), &[2, 3, 4]);
    let all = numbers(&of);
    for (sizes, asked, expected) in [
        ([(1, 9), (2, 9), (3, 9), (4, 9)], 4, (Some(1), vec![2, 3, 4], vec![])),
        ([(1, 9), (2, 9), (3, 9), (4, 9)], 2, (Some(1), vec![2], vec![3, 4])),
        ([(1, half), (2, 9), (3, half), (4, 9)], 4, (Some(1), vec![2], vec![3, 4])),
        ([(1, 3 * half), (2, 9), (3, 9), (4, 9)], 4, (Some(1), vec![], vec![2, 3, 4])),
        ([(9, 9), (2, 9), (3, 9), (4, 9)], 4, (None, vec![2, 3, 4], vec![])),
    ] {
        let part = PromptPart::of(&of, &all, asked, &mut versions(&of, &sizes));
        assert_eq!(short(&part), expected);
        assert_eq!(part.more_follows(), !part.rest.is_empty());
    }
    let rest = PromptPart::of(&of, &[3, 4], 2, &mut versions(&of, &[(3, 3 * half), (4, 9)]));
    assert_eq!(short(&rest), (None, vec![3], vec![4]));
    assert!(rest.bytes > 3 * half);
}

#[test]
fn a_page_serves_a_stream_that_it_takes_further_or_that_needs_no_more() {
    let page = |changes: &[i64], present, is_last| ChangedPage {
        after: 5,
        through: changes.last().copied().unwrap_or(5),
        present,
        is_last,
        changes: changes.iter().map(|revision| ChangedPrompt { revision: *revision, name: "p".into() }).collect(),
    };
    let (full, last, empty) = (page(&[7, 9], 20, false), page(&[7, 9], 9, true), page(&[], 5, true));
    for (page, cursor, changes, end, expected) in [
        (&full, 4, 0, 0, false),
        (&full, 5, 20, 99, true),
        (&full, 5, 21, 0, false),
        (&full, 8, 0, 99, true),
        (&full, 9, 0, 0, false),
        (&last, 8, 0, 99, true),
        (&last, 8, 10, 10, false),
        (&last, 9, 9, 9, true),
        (&last, 9, 0, 10, false),
        (&last, 10, 0, 9, false),
        (&empty, 5, 5, 5, true),
        (&empty, 5, 0, 6, false),
        (&empty, 6, 0, 0, false),
    ] {
        assert_eq!(page.serves(cursor, PageAge { changes, end }), expected, "{cursor} {changes} {end} {page:?}");
    }
    let revisions = |cursor| full.behind(cursor).iter().map(|change| change.revision).collect::<Vec<_>>();
    assert_eq!((revisions(5), revisions(7), revisions(9)), (vec![7, 9], vec![9], vec![]));
}
