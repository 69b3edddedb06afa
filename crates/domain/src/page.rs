//! Keyset pagination. A token holds the last row's key and is bound to the list that made it: project, filter, order.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

use crate::error::{Error, Reason, Result};
use crate::limits;

/// Number of rows in a page: 0 means 50, more than 500 means 500, a negative number is INVALID_FIELD.
pub fn size(page_size: i32) -> Result<usize> {
    let size = match page_size {
        0 => limits::PAGE_SIZE_DEFAULT,
        1.. => page_size.min(limits::PAGE_SIZE_MAX),
        _ => return Err(Error::invalid("page_size", format!("is {page_size}; send 0 for the default or 1 to 500"))),
    };
    usize::try_from(size).map_err(Error::internal)
}

/// PAGE_TOKEN_INVALID, for a token that is malformed or of another list.
#[must_use]
pub fn foreign() -> Error {
    let message = "page_token is not of this list: send the next_page_token of the page before, with the same filter, or \
                   leave it empty to start";
    Error::new(Reason::PageTokenInvalid, message)
}

/// Hash of what a token is bound to: the list's name, the project, and every part of the filter, in a fixed order.
#[derive(Clone, Debug)]
pub struct PageScope([u8; 8]);

impl PageScope {
    /// Hashes the parts with their lengths, so that no two lists of parts are the same bytes.
    #[must_use]
    pub fn of(parts: &[&str]) -> Self {
        let mut hash = Sha256::new();
        for part in parts {
            hash.update(part.len().to_be_bytes());
            hash.update(part);
        }
        let mut short = [0; 8];
        short.copy_from_slice(&hash.finalize()[..8]);
        Self(short)
    }

    /// The token of the page after the row with this key.
    #[must_use]
    pub fn token(&self, key: &str) -> String {
        URL_SAFE_NO_PAD.encode([&self.0[..], key.as_bytes()].concat())
    }

    /// The row key in a token; `None` for an empty token. PAGE_TOKEN_INVALID for a token of another scope. Tokens are
    /// not signed: the key may be forged and must be checked.
    pub fn key(&self, token: &str) -> Result<Option<String>> {
        if token.is_empty() {
            return Ok(None);
        }
        let bytes = URL_SAFE_NO_PAD.decode(token).map_err(|_| foreign())?;
        let key = bytes.strip_prefix(&self.0).ok_or_else(foreign)?;
        String::from_utf8(key.to_vec()).map(Some).map_err(|_| foreign())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn page_sizes_are_defaulted_capped_and_never_negative() {
        for (sent, expected) in [(0, 50), (1, 1), (500, 500), (501, 500), (i32::MAX, 500)] {
            assert_eq!(size(sent).unwrap(), expected);
        }
        let error = size(-1).unwrap_err();
        assert_eq!((error.reason(), &*error.parts().violations[0].field), (Reason::InvalidField, "page_size"));
    }

    #[test]
    fn a_token_gives_its_key_back_to_its_own_list_only() {
        let scope = PageScope::of(&["prompts", "default", ""]);
        let token = scope.token("greet");
        assert_eq!(scope.key(&token).unwrap().as_deref(), Some("greet"));
        assert_eq!(scope.key("").unwrap(), None);
        for other in [PageScope::of(&["prompts", "other", ""]), PageScope::of(&["prompts", "defaul", "t"])] {
            assert_eq!(other.key(&token).unwrap_err().reason(), Reason::PageTokenInvalid);
        }
    }

    #[test]
    fn garbage_is_no_token() {
        let scope = PageScope::of(&["a"]);
        let not_text = URL_SAFE_NO_PAD.encode([&scope.0[..], &[0xff]].concat());
        for token in ["!", "AAAA", "é", &not_text] {
            assert_eq!(scope.key(token).unwrap_err().reason(), Reason::PageTokenInvalid);
        }
    }
}
