//! The text of an error for the log: with all of its causes, and without secrets.

use std::error::Error;

use crate::text;

/// Longest text of a chain, in bytes.
const CHAIN_BYTES: usize = 1_024;
/// Longest kind of a cause, in bytes.
const KIND_BYTES: usize = 512;
/// Most causes of an error that are read.
const DEPTH: usize = 16;

/// The error and its causes, outermost first, separated by `: `; at most 1 KiB, without credentials of URLs. A cause whose
/// text stands in what precedes it is left out: many errors end with the text of their source.
#[must_use]
pub fn chain(error: &(dyn Error + 'static)) -> String {
    let mut said = error.to_string();
    let mut next = error.source();
    for _ in 0..DEPTH {
        let Some(cause) = next else { break };
        next = cause.source();
        let cause = cause.to_string();
        if !said.contains(&cause) {
            said.push_str(": ");
            said.push_str(&cause);
        }
    }
    text::cut(&redacted(&said), CHAIN_BYTES).to_owned()
}

/// What a cause has in common with others that differ in numbers or ids: each word that begins with a digit, and each of 8
/// hexadecimal digits or more, is `#`; at most 512 bytes. Names stay, such as `azure_2` or `cache_write_5m_tokens`.
#[must_use]
pub fn kind(cause: &str) -> String {
    let (mut kind, mut rest) = (String::with_capacity(cause.len().min(KIND_BYTES)), cause);
    while kind.len() < KIND_BYTES {
        let (word, next) = rest.split_at(rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len()));
        kind.push_str(if is_number(word) { "#" } else { word });
        let Some(separator) = next.chars().next() else { break };
        kind.push(separator);
        rest = &next[separator.len_utf8()..];
    }
    text::truncate(&mut kind, KIND_BYTES);
    kind
}

fn is_number(word: &str) -> bool {
    let is_id = word.len() >= 8 && word.bytes().all(|byte| byte.is_ascii_hexdigit());
    word.starts_with(|c: char| c.is_ascii_digit()) || is_id && word.contains(|c: char| c.is_ascii_digit())
}

/// The text with `***` for what could be credentials: in a URL what stands before the last `@`, and the value of a
/// parameter `password`.
#[must_use]
pub fn redacted(text: &str) -> String {
    let ends = |c: char| c.is_whitespace() || "\"'`<>".contains(c);
    let (mut shown, mut rest) = (String::with_capacity(text.len()), text);
    while let Some((before, after)) = rest.split_once("://") {
        shown.push_str(before);
        shown.push_str("://");
        let (url, next) = after.split_at(after.find(ends).unwrap_or(after.len()));
        shown.push_str(&match url.rsplit_once('@') {
            Some((_, place)) => format!("***@{place}"),
            None => url.to_owned(),
        });
        rest = next;
    }
    shown.push_str(rest);
    without_passwords(&shown)
}

fn without_passwords(text: &str) -> String {
    const NAME: &str = "password=";
    let ends = |c: char| c.is_whitespace() || "\"'`<>&;".contains(c);
    let mut parts = text.split(NAME);
    let mut shown = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        shown.push_str(NAME);
        shown.push_str("***");
        shown.push_str(&part[part.find(ends).unwrap_or(part.len())..]);
    }
    shown
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn a_chain_has_each_cause_once_and_is_bounded() {
        let database = io::Error::other("FATAL: too many connections for role \"ledger\"");
        let error = crate::Error::new(crate::Reason::StoreUnavailable, "no answer").caused_by(database);
        assert_eq!(chain(&error), "STORE_UNAVAILABLE: no answer: FATAL: too many connections for role \"ledger\"");
        let repeats = crate::Error::internal(crate::Error::new(crate::Reason::Internal, "an internal failure"));
        assert_eq!(chain(&repeats), "INTERNAL: an internal failure");
        let long = crate::Error::internal("é".repeat(2 * CHAIN_BYTES));
        assert!((CHAIN_BYTES - 1..=CHAIN_BYTES).contains(&chain(&long).len()));
    }

    #[test]
    fn causes_that_differ_in_numbers_or_ids_are_of_one_kind() {
        assert_eq!(kind("process 17 waits for 4"), kind("process 9 waits for 1234"));
        assert_eq!(kind("execution 0198-e2c4a7b9: code 25P03, é"), "execution #-#: code #, é");
        assert_eq!(kind("azure_2 lacks cache_write_5m_tokens"), "azure_2 lacks cache_write_5m_tokens");
        let long = [kind(&"é".repeat(KIND_BYTES)), kind(&" ".repeat(2 * KIND_BYTES)), kind("")];
        assert_eq!(long.map(|kind| kind.len()), [KIND_BYTES, KIND_BYTES, 0]);
    }

    #[test]
    fn credentials_are_never_shown() {
        for (text, shown) in [
            ("nothing of the kind", "nothing of the kind"),
            ("postgres://db:5432/ledger is away", "postgres://db:5432/ledger is away"),
            ("`amqp://ada:hunter2@mq/%2f`: no", "`amqp://***@mq/%2f`: no"),
            ("redis://:hunter2@a, amqp://b:hunter2@c", "redis://***@a, amqp://***@c"),
            ("postgres://a:hun@ter2@db/x\n", "postgres://***@db/x\n"),
            ("postgres://db?password=hunter2&sslmode=require", "postgres://db?password=***&sslmode=require"),
            ("user=ada password=hunter2", "user=ada password=***"),
        ] {
            assert_eq!(redacted(text), shown);
        }
        let error = crate::Error::internal("postgres://ada:hunter2@db");
        assert_eq!(chain(&error), "INTERNAL: an internal failure: postgres://***@db");
    }
}
