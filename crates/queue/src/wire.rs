//! Hints and announcements as JSON. A reader ignores unknown fields and skips what it cannot read, because servers and
//! workers of two neighbouring releases run side by side.

use std::borrow::Cow;
use std::sync::Arc;

use prompt_ledger_domain::Timestamp;
use prompt_ledger_domain::call_log::CallPiece;
use prompt_ledger_domain::execution::Event;
use prompt_ledger_domain::ids::{ExecutionId, ProjectId};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{Announcement, Hint, TextCursor, TextPiece, ToolCallText, Topic};

/// Longest announcement that is read, in bytes; longer ones are skipped.
const LONGEST: usize = 64 * 1024;

#[derive(Serialize, Deserialize)]
struct HintForm {
    execution_id: Uuid,
    attempt: i32,
}

/// An announcement. Its kind is the first field, so that a reader knows what a line is before it reads it.
#[derive(Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum WireForm<'a> {
    Changed(ChangedForm<'a>),
    Cancel(CancelForm),
    TextWanted(TextWantedForm),
    Text(TextForm<'a>),
    ToolCall(ToolCallForm<'a>),
    PromptsChanged(PromptsChangedForm),
}

#[derive(Serialize, Deserialize)]
struct ChangedForm<'a> {
    execution_id: Uuid,
    sequence: i64,
    at: i64,
    from: Option<&'a str>,
    to: &'a str,
    attempt: i32,
    error_type: Option<&'a str>,
    next_attempt_at: Option<i64>,
}

#[derive(Serialize, Deserialize)]
struct CancelForm {
    execution_id: Uuid,
}

#[derive(Serialize, Deserialize)]
struct TextWantedForm {
    /// (execution, attempt, offset)
    texts: Vec<(Uuid, i32, usize)>,
    /// For each of `texts` the position in its calls; empty where all are 0.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    calls: Vec<usize>,
}

#[derive(Serialize, Deserialize)]
struct TextForm<'a> {
    execution_id: Uuid,
    attempt: i32,
    offset: usize,
    #[serde(borrow)]
    text: Cow<'a, str>,
}

#[derive(Serialize, Deserialize)]
struct ToolCallForm<'a> {
    execution_id: Uuid,
    attempt: i32,
    position: usize,
    index: usize,
    offset: usize,
    #[serde(default, borrow, skip_serializing_if = "str::is_empty")]
    id: Cow<'a, str>,
    #[serde(default, borrow, skip_serializing_if = "str::is_empty")]
    name: Cow<'a, str>,
    #[serde(borrow)]
    arguments: Cow<'a, str>,
}

#[derive(Serialize, Deserialize)]
struct PromptsChangedForm {
    project_id: Uuid,
    revision: i64,
}

/// A hint as text, without its provider: the line that it is sent through is the provider's.
pub(crate) fn hint(hint: &Hint) -> String {
    let form = HintForm { execution_id: hint.execution_id.0, attempt: hint.attempt };
    // Serializing plain values does not fail.
    serde_json::to_string(&form).unwrap_or_default()
}

/// The hint in a text that came through the line of this provider; absent where it cannot be read.
pub(crate) fn read_hint(text: &[u8], provider: &Arc<str>) -> Option<Hint> {
    match serde_json::from_slice::<HintForm>(text) {
        Ok(HintForm { execution_id, attempt }) => {
            Some(Hint { execution_id: ExecutionId(execution_id), attempt, provider: Arc::clone(provider) })
        }
        Err(error) => {
            tracing::debug!(%error, "a hint that cannot be read was passed over");
            None
        }
    }
}

/// Announcements as text, one line each.
pub(crate) fn announcements(announcements: &[Announcement]) -> String {
    let line = |announcement| serde_json::to_string(&form(announcement)).unwrap_or_default();
    announcements.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn form(announcement: &Announcement) -> WireForm<'_> {
    match announcement {
        Announcement::Cancel { execution_id } => WireForm::Cancel(CancelForm { execution_id: execution_id.0 }),
        Announcement::TextWanted { texts } => WireForm::TextWanted(TextWantedForm {
            texts: texts.iter().map(|cursor| (cursor.execution_id.0, cursor.attempt, cursor.offset)).collect(),
            calls: match texts.iter().any(|cursor| cursor.calls > 0) {
                true => texts.iter().map(|cursor| cursor.calls).collect(),
                false => Vec::new(),
            },
        }),
        Announcement::ToolCall(ToolCallText { execution_id, attempt, piece }) => WireForm::ToolCall(ToolCallForm {
            execution_id: execution_id.0,
            attempt: *attempt,
            position: piece.position,
            index: piece.index,
            offset: piece.offset,
            id: Cow::Borrowed(&piece.id),
            name: Cow::Borrowed(&piece.name),
            arguments: Cow::Borrowed(&piece.arguments),
        }),
        Announcement::PromptsChanged { project_id, revision } => {
            WireForm::PromptsChanged(PromptsChangedForm { project_id: project_id.0, revision: *revision })
        }
        Announcement::Text(piece) => WireForm::Text(TextForm {
            execution_id: piece.execution_id.0,
            attempt: piece.attempt,
            offset: piece.offset,
            text: Cow::Borrowed(&piece.text),
        }),
        Announcement::Changed { execution_id, event } => WireForm::Changed(ChangedForm {
            execution_id: execution_id.0,
            sequence: event.sequence,
            at: event.at.0,
            from: event.from.map(<&str>::from),
            to: <&str>::from(event.to),
            attempt: event.attempt,
            error_type: event.error_type.map(<&str>::from),
            next_attempt_at: event.next_attempt_at.map(|at| at.0),
        }),
    }
}

/// The announcements of a text whose topics are wanted; lines that cannot be read are skipped.
pub(crate) fn read_announcements(text: &[u8], wanted: impl Fn(Topic) -> bool) -> impl Iterator<Item = Announcement> {
    text.split(|byte| *byte == b'\n').filter_map(move |line| announcement(line, &wanted))
}

/// How a line begins, before its kind and a quote.
const BEGINNING: &[u8] = br#"{"kind":""#;

fn announcement(line: &[u8], wanted: impl Fn(Topic) -> bool) -> Option<Announcement> {
    let kind = line.strip_prefix(BEGINNING)?.split(|byte| *byte == b'"').next()?;
    if !wanted(topic(kind)?) {
        return None;
    }
    if line.len() > LONGEST {
        tracing::debug!(bytes = line.len(), "an announcement that is too long was passed over");
        return None;
    }
    let read = read(kind, line);
    read.inspect_err(|error| tracing::debug!(%error, "an announcement that cannot be read was passed over")).ok()?
}

/// Absent where the kind is not known.
fn topic(kind: &[u8]) -> Option<Topic> {
    Some(match kind {
        b"changed" | b"text" | b"tool_call" => Topic::Executions,
        b"cancel" => Topic::Cancels,
        b"text_wanted" => Topic::TextRequests,
        b"prompts_changed" => Topic::Prompts,
        _ => return None,
    })
}

/// Absent where the kind, or the status that an execution came to, is not known.
fn read(kind: &[u8], line: &[u8]) -> serde_json::Result<Option<Announcement>> {
    Ok(match kind {
        b"changed" => changed(&serde_json::from_slice(line)?),
        b"text" => Some(text(serde_json::from_slice(line)?)),
        b"tool_call" => Some(tool_call(serde_json::from_slice(line)?)),
        b"cancel" => {
            let CancelForm { execution_id } = serde_json::from_slice(line)?;
            Some(Announcement::Cancel { execution_id: ExecutionId(execution_id) })
        }
        b"text_wanted" => Some(text_wanted(serde_json::from_slice(line)?)),
        b"prompts_changed" => {
            let PromptsChangedForm { project_id, revision } = serde_json::from_slice(line)?;
            Some(Announcement::PromptsChanged { project_id: ProjectId(project_id), revision })
        }
        _ => None,
    })
}

fn changed(form: &ChangedForm<'_>) -> Option<Announcement> {
    let event = Event {
        sequence: form.sequence,
        at: Timestamp(form.at),
        from: form.from.and_then(|word| word.parse().ok()),
        to: form.to.parse().ok()?,
        attempt: form.attempt,
        error_type: form.error_type.and_then(|word| word.parse().ok()),
        next_attempt_at: form.next_attempt_at.map(Timestamp),
    };
    Some(Announcement::Changed { execution_id: ExecutionId(form.execution_id), event })
}

fn text(form: TextForm<'_>) -> Announcement {
    let TextForm { execution_id, attempt, offset, text } = form;
    Announcement::Text(TextPiece { execution_id: ExecutionId(execution_id), attempt, offset, text: text.into() })
}

fn tool_call(form: ToolCallForm<'_>) -> Announcement {
    let ToolCallForm { execution_id, attempt, position, index, offset, id, name, arguments } = form;
    let (id, name, arguments) = (id.into_owned(), name.into_owned(), arguments.into_owned());
    let piece = CallPiece { position, index, offset, id, name, arguments };
    Announcement::ToolCall(ToolCallText { execution_id: ExecutionId(execution_id), attempt, piece })
}

fn text_wanted(form: TextWantedForm) -> Announcement {
    let TextWantedForm { texts, calls } = form;
    let calls = calls.into_iter().chain(std::iter::repeat(0));
    let cursor = |((id, attempt, offset), calls)| TextCursor { execution_id: ExecutionId(id), attempt, offset, calls };
    Announcement::TextWanted { texts: texts.into_iter().zip(calls).map(cursor).collect() }
}

#[cfg(test)]
mod tests {
    use prompt_ledger_domain::execution::{ErrorType, Status};

    use super::*;
    use crate::{TEXT_BYTES, TEXTS_WANTED};

    const ID: ExecutionId = ExecutionId(Uuid::from_u128(7));

    fn read_all(text: &[u8]) -> impl Iterator<Item = Announcement> {
        read_announcements(text, |_| true)
    }

    #[test]
    fn what_is_written_is_read() {
        let provider: Arc<str> = "azure".into();
        let sent = Hint { execution_id: ID, attempt: 3, provider: Arc::clone(&provider) };
        assert_eq!(read_hint(hint(&sent).as_bytes(), &provider), Some(sent));
        let event = Event {
            sequence: 4,
            at: Timestamp(5),
            from: Some(Status::Running),
            to: Status::Queued,
            attempt: 2,
            error_type: Some(ErrorType::Timeout),
            next_attempt_at: Some(Timestamp(6)),
        };
        let sent = [
            Announcement::Changed { execution_id: ID, event },
            Announcement::Changed { execution_id: ID, event: Event::first(Timestamp(1), Status::Queued, 0) },
            Announcement::Cancel { execution_id: ID },
            Announcement::TextWanted {
                texts: [0, 7].map(|offset| TextCursor { execution_id: ID, attempt: 2, offset, calls: 0 }).into(),
            },
            Announcement::TextWanted {
                texts: [0, 7].map(|calls| TextCursor { execution_id: ID, attempt: 2, offset: 3, calls }).into(),
            },
            Announcement::ToolCall(ToolCallText {
                execution_id: ID,
                attempt: 2,
                piece: CallPiece {
                    position: 9,
                    index: 1,
                    offset: 0,
                    id: "call_1".into(),
                    name: "add".into(),
                    arguments: "{\"a\":\"\u{1}é".into(),
                },
            }),
            Announcement::PromptsChanged { project_id: ProjectId(Uuid::from_u128(8)), revision: 9 },
            Announcement::Text(TextPiece { execution_id: ID, attempt: 1, offset: 7, text: "a \"b\"\n\u{1}é".into() }),
        ];
        let text = announcements(&sent);
        assert_eq!(read_all(text.as_bytes()).collect::<Vec<_>>(), sent);
        for topic in Topic::ALL {
            let read: Vec<_> = read_announcements(text.as_bytes(), |wanted| wanted == topic).collect();
            let of_topic: Vec<_> = sent.iter().filter(|sent| sent.topic() == topic).cloned().collect();
            assert!(read == of_topic && !read.is_empty(), "{topic:?}: {read:?}");
        }
    }

    #[test]
    fn the_longest_announcements_are_read_whatever_they_hold() {
        for text in ["\u{1}".repeat(TEXT_BYTES), "é".repeat(TEXT_BYTES / 2)] {
            let piece = TextPiece { execution_id: ID, attempt: i32::MAX, offset: usize::MAX, text: text.into() };
            let sent = Announcement::Text(piece);
            let line = announcements(std::slice::from_ref(&sent));
            assert_eq!(read_all(line.as_bytes()).collect::<Vec<_>>(), [sent]);
        }
        let cursor = TextCursor { execution_id: ID, attempt: i32::MAX, offset: usize::MAX, calls: usize::MAX };
        let sent = Announcement::TextWanted { texts: vec![cursor; TEXTS_WANTED].into() };
        let line = announcements(std::slice::from_ref(&sent));
        assert_eq!(read_all(line.as_bytes()).collect::<Vec<_>>(), [sent]);
    }

    #[test]
    fn what_another_release_writes_is_read_as_far_as_it_is_known() {
        let hint = br#"{"execution_id":"00000000-0000-0000-0000-000000000007","attempt":1,"priority":9}"#;
        let provider: Arc<str> = "azure".into();
        assert_eq!(read_hint(hint, &provider), Some(Hint { execution_id: ID, attempt: 1, provider }));
        let text = br#"{"kind":"sung"}
{"kind":"cancel","execution_id":"00000000-0000-0000-0000-000000000007","by":"ada"}
{"kind":"changed","execution_id":"00000000-0000-0000-0000-000000000007","sequence":1,"at":1,"to":"dreaming","attempt":1}"#;
        assert_eq!(read_all(text).collect::<Vec<_>>(), [Announcement::Cancel { execution_id: ID }]);
    }

    #[test]
    fn garbage_is_passed_over() {
        for text in [
            &b""[..],
            b"{",
            b"\xff",
            b"[1]",
            b"{}",
            br#"{"kind":"cancel"#,
            br#"{"kind":"cancel""#,
            br#"{"kind":"cancel"}"#,
        ] {
            assert_eq!((read_hint(text, &"azure".into()), read_all(text).count()), (None, 0));
        }
    }

    #[test]
    fn what_is_too_long_is_passed_over_alone() {
        let one = announcements(&[Announcement::Cancel { execution_id: ID }]);
        let padded = |bytes: usize| format!("{one}{}", " ".repeat(bytes - one.len()));
        let text = [padded(LONGEST), padded(LONGEST + 1), one.clone()].join("\n");
        assert_eq!(read_all(text.as_bytes()).count(), 2);
    }
}
