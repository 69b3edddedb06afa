//! Checks that the protocols share: what a request holds that a provider does not take.

use crate::capabilities::ModelRequest;
use crate::chat::{ContentPart, ImagePart, ImageSource, is_plain_http};
use crate::error::{Result, Violations};

/// The media types of images that both vendors take.
const MEDIA_TYPES: [&str; 4] = ["image/jpeg", "image/png", "image/gif", "image/webp"];

/// Collects what a provider does not take.
pub(super) struct Unsupported<'a> {
    provider: &'static str,
    request: ModelRequest<'a>,
    wrong: Violations,
}

impl<'a> Unsupported<'a> {
    pub(super) fn new(provider: &'static str, request: &ModelRequest<'a>) -> Self {
        Self { provider, request: *request, wrong: Violations::default() }
    }

    /// Refuses a field, with what to do instead.
    pub(super) fn refuse(&mut self, field: impl Into<String>, why: &str) {
        let provider = self.provider;
        self.wrong.add(field.into(), || format!("{provider} {why}"));
    }

    /// Refuses each parameter of these that is set.
    pub(super) fn parameters(&mut self, names: &[&str]) {
        for name in names {
            if self.request.params.has(name) {
                self.refuse(format!("params.{name}"), &format!("does not know {name}: leave it out"));
            }
        }
    }

    /// Each image with its path and the role of its message.
    pub(super) fn images(&self) -> impl Iterator<Item = (String, &'a str, &'a ImagePart)> + use<'a> {
        self.request.messages().iter().enumerate().flat_map(|(i, message)| {
            message.parts.iter().enumerate().filter_map(move |(j, part)| match part {
                ContentPart::Image(image) => Some((format!("messages[{i}].parts[{j}].image"), &*message.role, image)),
                ContentPart::Text(_) => None,
            })
        })
    }

    /// Refuses images that no vendor takes: outside `user` messages, of other media types, at plain `http` addresses.
    pub(super) fn vendors_images(&mut self) {
        for (field, role, ImagePart { source, media_type, .. }) in self.images() {
            if role != "user" {
                self.refuse(field.clone(), "takes images in user messages only");
            }
            if !media_type.is_empty() && !MEDIA_TYPES.contains(&media_type.as_str()) {
                self.refuse(format!("{field}.media_type"), &format!("takes {}", MEDIA_TYPES.join(", ")));
            }
            if matches!(source, ImageSource::Url(url) if is_plain_http(url)) {
                self.refuse(format!("{field}.url"), "fetches https addresses only");
            }
        }
    }

    pub(super) fn finish(self) -> Result<()> {
        self.wrong.finish(Some(()))
    }
}
