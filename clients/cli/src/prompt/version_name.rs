//! Which version of a prompt is meant.

use clap::Args;
use prompt_ledger_client::v1;
use v1::{get_version_request, render_prompt_request};

use crate::connection::LedgerConnection;
use crate::failure::CommandError;

/// Which version; absent: the active one.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct VersionSelector {
    /// The version of this number, instead of the active one
    #[arg(long, value_name = "N", value_parser = version_number, conflicts_with_all = ["label", "hash"])]
    version: Option<i32>,
    /// The version that this label names
    #[arg(long, value_name = "LABEL", conflicts_with = "hash")]
    label: Option<String>,
    /// The version of this content, by its sha-256
    #[arg(long, value_name = "SHA256")]
    hash: Option<String>,
}

/// A version's number from the command line.
pub(crate) fn version_number(text: &str) -> Result<i32, String> {
    let told = |_| format!("`{text}` is no version's number; `ledgerctl prompt versions NAME` lists them");
    text.parse().map_err(told)
}

impl VersionSelector {
    pub(crate) fn name(self) -> Option<VersionName> {
        let number = self.version.map(VersionName::Number);
        number.or(self.label.map(VersionName::Label)).or(self.hash.map(VersionName::Hash))
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum VersionName {
    Number(i32),
    /// A label of the prompt, or `active` or `latest`.
    Label(String),
    /// The sha-256 of the content, in hex.
    Hash(String),
}

impl VersionName {
    /// A number, the sha-256 of a content, or else a label.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Err("write a version's number, a label, `active`, `latest`, or the sha-256 of a content".into());
        }
        if let Ok(number) = text.parse() {
            return Ok(Self::Number(number));
        }
        let is_hash = text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        Ok(if is_hash { Self::Hash(text.to_lowercase()) } else { Self::Label(text.to_owned()) })
    }

    pub(crate) fn get_selector(self) -> get_version_request::Selector {
        match self {
            Self::Number(number) => get_version_request::Selector::VersionNumber(number),
            Self::Label(label) => get_version_request::Selector::Label(label),
            Self::Hash(hash) => get_version_request::Selector::ChecksumHash(hash),
        }
    }

    pub(crate) fn render_selector(self) -> render_prompt_request::Selector {
        match self {
            Self::Number(number) => render_prompt_request::Selector::VersionNumber(number),
            Self::Label(label) => render_prompt_request::Selector::Label(label),
            Self::Hash(hash) => render_prompt_request::Selector::ChecksumHash(hash),
        }
    }
}

/// The version of this name; absent: the active one.
pub(crate) async fn fetch_version(
    connection: &LedgerConnection,
    prompt: &str,
    version: Option<VersionName>,
) -> Result<v1::PromptVersion, CommandError> {
    let selector = version.map(VersionName::get_selector);
    let request = v1::GetVersionRequest { name: prompt.to_owned(), selector, ..Default::default() };
    let answer = connection.client.prompts().version(request).await.map_err(|error| connection.failed(error))?;
    Ok(answer.version.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_named_by_number_label_or_hash() {
        let hash = "AB".repeat(32);
        for (text, name) in [
            ("3", VersionName::Number(3)),
            ("active", VersionName::Label("active".into())),
            ("eu-west", VersionName::Label("eu-west".into())),
            (&*hash, VersionName::Hash("ab".repeat(32))),
            (&hash[1..], VersionName::Label(hash[1..].into())),
        ] {
            assert_eq!(VersionName::parse(text), Ok(name), "{text}");
        }
        assert!(VersionName::parse("").unwrap_err().contains("latest"));
    }
}
