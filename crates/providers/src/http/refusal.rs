//! Classifies refusals: the only place where a provider's errors get their type.

use std::borrow::Cow;

use prompt_ledger_domain::execution::ErrorType;
use reqwest::StatusCode;

use super::finish::plain;
use super::form::refused_fields;
use super::json::{Raw, json_object};
use super::outcome::CallFault;
use super::repair::repaired;

/// Objects and lists within each other, beyond which nothing is looked for.
const DEPTH: usize = 8;
/// Codes and types of one refusal that are looked at.
const WORDS: usize = 8;

json_object!(
    /// The common forms of a refusal: `{"error": {...}}` is OpenAI's and Anthropic's, `{"error": "..."}` Ollama's, a list
    /// of these Gemini's, the bare object vLLM's, `{"detail": ...}` FastAPI's, `{"errors": [...]}` Cloudflare's.
    Refusal {
        "error" => error,
        "message" => message,
        "msg" => msg,
        "errors" => errors,
        "detail" => detail,
        "choices" => choices,
        "code" => code,
        "type" => kind,
        "status" => status,
    }
);

/// Classifies an unsuccessful response. Its body may be anything; absent where it could not be read.
pub(super) fn classify(status: StatusCode, body: Option<&[u8]>) -> CallFault {
    let code = status.as_u16();
    let text = body.map(String::from_utf8_lossy);
    let text = text.as_deref().map(|text| text.trim_start_matches('\u{feff}').trim());
    let fixed;
    let (json, reason) = match text.unwrap_or_default() {
        json if Raw::document(json).is_ok() => (true, RefusalReason::of(json)),
        json => {
            fixed = repaired(json).filter(|fixed| Raw::document(fixed).is_ok());
            (fixed.is_some(), fixed.as_deref().map(RefusalReason::of).unwrap_or_default())
        }
    };
    let message = match (reason.message.as_deref(), text) {
        _ if status.is_redirection() => {
            format!("the provider answered with a redirect (HTTP {code}): configure the place it leads to")
        }
        (Some(message), _) => message.to_owned(),
        (None, None) => format!("the provider answered HTTP {code} with a reason that is too long or was cut off"),
        (None, Some("")) => format!("the provider answered HTTP {code} without a reason"),
        (None, Some(page)) if page.starts_with('<') => format!("the provider answered HTTP {code} with a page of HTML"),
        (None, Some(json_text)) if json => format!("the provider answered HTTP {code}: {json_text}"),
        // Words of a gateway.
        (None, Some(words)) => words.to_owned(),
    };
    // What stands in the body is the server's own, the status may be a gateway's.
    let mut fault = CallFault::new(error_type(reason.status.or(Some(status)), &reason), message);
    if matches!(code, 400 | 422) {
        fault.refused_fields = refused_fields(text.unwrap_or_default());
    }
    fault
}

/// The error that a document tells, which is JSON or words: `{"error": {"code": 502, ...}}`.
pub(crate) fn told(document: &str) -> CallFault {
    let document = document.trim();
    let fixed = if Raw::document(document).is_ok() { None } else { repaired(document) };
    let json = fixed.as_deref().unwrap_or(document);
    let reason = if Raw::document(json).is_ok() { RefusalReason::of(json) } else { RefusalReason::words(document) };
    let error_type = error_type(reason.status, &reason);
    let message = reason.message.map_or_else(|| format!("the provider told an error: {document}"), Cow::into_owned);
    CallFault::new(error_type, message)
}

/// What went wrong: the word says it before the status does, which often is a gateway's. A vague word is asked only where
/// the status is vague too.
fn error_type(status: Option<StatusCode>, reason: &RefusalReason<'_>) -> ErrorType {
    let find = |meaning: fn(&str) -> Option<ErrorType>| reason.words.iter().find_map(|word| meaning(word));
    let vague = find(vague_word);
    let is_rate_limit = reason.words.iter().any(|word| tells_rate_limit(word));
    let exact = reason.words.iter().find_map(|word| match exact_word(word) {
        // "Requests per minute limit exceeded": that passes, whatever the code calls it.
        Some(ErrorType::QuotaExhausted) if is_rate_limit && word.ends_with("quotaexceeded") => {
            Some(ErrorType::RateLimited)
        }
        meaning => meaning,
    });
    exact.unwrap_or(match status.map(|status| status.as_u16()) {
        Some(401 | 403) => ErrorType::ProviderAuth,
        Some(402) => ErrorType::QuotaExhausted,
        Some(408) => ErrorType::Timeout,
        Some(409 | 425) => ErrorType::ProviderError,
        Some(429) => ErrorType::RateLimited,
        Some(501) => ErrorType::InvalidRequest,
        Some(400..=499) => ErrorType::InvalidRequest,
        Some(500..=599) | None => vague.unwrap_or(ErrorType::ProviderError),
        Some(_) => ErrorType::InvalidResponse,
    })
}

/// The meaning of a code or type that says what is wrong.
fn exact_word(word: &str) -> Option<ErrorType> {
    Some(match word {
        // The quota is spent or a payment is missing: retrying does not help.
        "billinghardlimitreached" | "billingnotactive" | "billingerror" | "arrearage" | "paymentrequired" => {
            ErrorType::QuotaExhausted
        }
        _ if is_spent(word) => ErrorType::QuotaExhausted,
        "contentfilter" | "contentpolicyviolation" | "responsibleaipolicyviolation" => ErrorType::ContentFiltered,
        "contextlengthexceeded"
        | "exceedcontextsizeerror"
        | "contextwindowexceedederror"
        | "stringabovemaxlength"
        | "requesttoolarge"
        | "modelnotfound"
        | "notfounderror"
        | "notfound"
        | "unsupportedparameter"
        | "unsupportedvalue"
        | "unprocessableentity" => ErrorType::InvalidRequest,
        "ratelimiterror" | "ratelimitexceeded" | "resourceexhausted" | "toomanyrequests" => ErrorType::RateLimited,
        "overloadederror" | "engineoverloaded" | "serviceunavailable" | "unavailable" => ErrorType::ProviderError,
        "timeouterror" | "deadlineexceeded" => ErrorType::Timeout,
        "authenticationerror" | "permissionerror" | "invalidapikey" | "permissiondenied" | "unauthenticated" => {
            ErrorType::ProviderAuth
        }
        _ => return None,
    })
}

/// Whether a word says that what was paid for is used up: `insufficient_quota`, `exceeded_current_quota_error`.
fn is_spent(word: &str) -> bool {
    let what = ["quota", "balance", "credit", "funds"];
    let how = ["insufficient", "exceeded", "exhausted", "outof"];
    what.iter().any(|what| word.contains(what)) && how.iter().any(|how| word.contains(how)) && !word.contains("rate")
}

/// Whether a word says that too much was asked in a short time.
fn tells_rate_limit(word: &str) -> bool {
    word.contains("toomany") || word.contains("ratelimit")
}

/// The meaning of a code or type that servers use for many things.
fn vague_word(word: &str) -> Option<ErrorType> {
    Some(match word {
        "invalidrequesterror" | "invalidrequest" | "badrequesterror" | "badrequest" | "invalidargument" => {
            ErrorType::InvalidRequest
        }
        "apierror" | "servererror" | "internalservererror" | "internalerror" | "internal" => ErrorType::ProviderError,
        _ => return None,
    })
}

#[derive(Debug, Default)]
struct RefusalReason<'a> {
    message: Option<Cow<'a, str>>,
    /// Codes and types, the innermost first, without case and signs.
    words: Vec<String>,
    /// The error's code, where it is the status of an HTTP error: a gateway tells that of its own provider.
    status: Option<StatusCode>,
}

impl<'a> RefusalReason<'a> {
    fn of(json: &'a str) -> Self {
        let mut reason = Self::default();
        if let Ok(document) = Raw::document(json) {
            reason.gather(document, DEPTH);
        }
        reason
    }

    fn words(words: &'a str) -> Self {
        let mut reason = Self::default();
        reason.say(words.into());
        reason
    }

    fn say(&mut self, message: Cow<'a, str>) {
        if self.message.is_none() && !message.trim().is_empty() {
            self.message = Some(message);
        }
    }

    /// Adds what a value says, a string by itself, the first message first.
    fn gather(&mut self, value: Raw<'a>, depth: usize) {
        if let Some(text) = value.text() {
            return self.say(text);
        }
        let Some(depth) = depth.checked_sub(1) else { return };
        value.each(|element: Raw<'a>| self.gather(element, depth));
        let refusal: Refusal<'a> = value.object();
        for told in [refusal.error, refusal.message, refusal.msg, refusal.errors] {
            self.gather(told, depth);
        }
        // A validation error says in a list which field it means.
        let mut detail = Self::default();
        detail.gather(refusal.detail, depth);
        let is_list = refusal.detail.as_json().starts_with('[');
        if let Some(message) = detail.message {
            self.say(if is_list { refusal.detail.as_json().into() } else { message });
        }
        self.words.extend(detail.words);
        self.words.truncate(WORDS);
        refusal.choices.each(|choice: Raw<'a>| self.gather(choice.object::<Refusal<'a>>().error, depth));
        for code in [refusal.code, refusal.kind, refusal.status] {
            let status = code.count().and_then(|status| StatusCode::from_u16(u16::try_from(status).ok()?).ok());
            self.status = self.status.or(status.filter(|status| status.is_client_error() || status.is_server_error()));
            if self.words.len() < WORDS {
                self.words.extend(code.text().map(|word| plain(&word)));
            }
        }
    }
}

#[cfg(test)]
mod tests;
