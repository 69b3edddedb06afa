//! What an image of a message may be.

use super::{ImagePart, ImageSource};
use crate::error::{Error, Result, Violations};
use crate::field::{self, shown};
use crate::limits;

/// The first part of an image's media type.
const IMAGE: &str = "image/";

/// Checks an image's media type, detail and data. Its URL is not looked at: in a template it is one itself.
pub(super) fn check(field: &str, image: &ImagePart, wrong: &mut Violations) -> Result<()> {
    let of = |name: &str| format!("{field}.{name}");
    if let Some(data) = image.data() {
        if data.is_empty() {
            wrong.add(of("data"), || "is empty; send the image's bytes, or a url".to_owned());
        }
        if image.media_type.is_empty() {
            wrong.add(of("media_type"), || "is missing; data needs it, such as `image/png`".to_owned());
        }
    }
    if !image.media_type.is_empty() && !is_media_type(&image.media_type) {
        wrong.add(of("media_type"), || {
            format!("is `{}`; send an image's type, such as `image/png`", shown(&image.media_type))
        });
    }
    wrong.keep(field::text(&of("detail"), image.detail.clone(), limits::IMAGE_WORD_BYTES))?;
    Ok(())
}

/// Checks the URL of an image, where it has one, once it is rendered.
pub(super) fn check_source(field: &str, image: &ImagePart) -> Result<()> {
    match &image.source {
        ImageSource::Url(url) => check_url(&format!("{field}.url"), url),
        ImageSource::Data(_) => Ok(()),
    }
}

fn is_media_type(text: &str) -> bool {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || ".+-".contains(c);
    let subtype = text.strip_prefix(IMAGE).unwrap_or_default();
    text.len() <= limits::IMAGE_WORD_BYTES && !subtype.is_empty() && subtype.chars().all(allowed)
}

/// Checks the URL of an image: `https` or `http`, with a host, without blanks and what cannot be seen. INVALID_FIELD at
/// `field`. Whether `http` is possible is the provider's: see [`is_plain_http`].
pub fn check_url(field: &str, url: &str) -> Result<()> {
    let scheme = url.split_once(':').map(|(scheme, _)| scheme.to_ascii_lowercase());
    let problem = match scheme.as_deref() {
        _ if url.is_empty() => "is empty; send an https address, or data".to_owned(),
        _ if url.contains(|c: char| c == ' ' || crate::text::is_invisible(c)) => {
            format!("`{}` holds a blank or what cannot be seen; escape it", shown(url))
        }
        Some("data") => "is a `data:` address; send the bytes in `data`, with their `media_type`".to_owned(),
        Some("https" | "http") if has_host(url) => return Ok(()),
        _ => format!("`{}` is not an https address; the provider fetches it, the ledger never does", shown(url)),
    };
    Err(Error::invalid(field, problem))
}

/// Whether a URL that passed [`check_url`] is one of plain `http`, which only a provider with a base URL of its own takes.
#[must_use]
pub fn is_plain_http(url: &str) -> bool {
    url.get(..5).is_some_and(|start| start.eq_ignore_ascii_case("http:"))
}

fn has_host(url: &str) -> bool {
    let after = url.split_once("://").map(|(_, after)| after).unwrap_or_default();
    !after.is_empty() && !after.starts_with(['/', '?', '#', ':'])
}
