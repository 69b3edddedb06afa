//! Cutting of texts to a number of bytes, at a character boundary; characters that cannot be seen.

use std::borrow::Cow;

/// The longest prefix of `text` that has at most `max` bytes and splits no character.
#[must_use]
pub fn cut(text: &str, max: usize) -> &str {
    &text[..text.floor_char_boundary(max)]
}

/// Appends the longest prefix of `piece` that keeps `text` within `max` bytes and splits no character; the capacity of
/// `text` does not exceed `max` either. Returns what was appended, and whether something was left out.
pub fn push_within<'p>(text: &mut String, piece: &'p str, max: usize) -> (&'p str, bool) {
    let fits = cut(piece, max.saturating_sub(text.len()));
    let needed = text.len() + fits.len();
    if needed > text.capacity() {
        let capacity = needed.max(2 * text.capacity()).min(max);
        text.reserve_exact(capacity - text.len());
    }
    text.push_str(fits);
    (fits, fits.len() < piece.len())
}

/// Cuts `text` in place to at most `max` bytes, splitting no character, and frees the memory. Returns whether it was
/// cut.
pub fn truncate(text: &mut String, max: usize) -> bool {
    let end = text.floor_char_boundary(max);
    let cut = end < text.len();
    if cut {
        text.truncate(end);
        text.shrink_to_fit();
    }
    cut
}

/// Whether a character leaves no mark, or none that differs from a space's: controls, all blanks but the space, and the
/// characters that Unicode calls default ignorable.
#[must_use]
pub fn is_invisible(c: char) -> bool {
    c.is_control()
        || c.is_whitespace() && c != ' '
        || matches!(
            c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{2800}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}'
            | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}'
        )
}

/// The text with each invisible character as an escape: `name\u{200b}`, `a\tb`.
#[must_use]
pub fn visible(text: &str) -> Cow<'_, str> {
    if !text.contains(is_invisible) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(2 * text.len());
    for c in text.chars() {
        if is_invisible(c) { shown.extend(c.escape_default()) } else { shown.push(c) }
    }
    Cow::Owned(shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_seen_is_shown_as_an_escape() {
        for (text, expected) in [
            ("first name", "first name"),
            (
                "caf\u{e9} \u{e9}\u{301} \u{928}\u{93e}\u{92e} \u{540d} \u{1f600}",
                "caf\u{e9} \u{e9}\u{301} \u{928}\u{93e}\u{92e} \u{540d} \u{1f600}",
            ),
            ("name\u{200b}", "name\\u{200b}"),
            ("\u{a0}a\tb\n\u{3000}\u{feff}", "\\u{a0}a\\tb\\n\\u{3000}\\u{feff}"),
            ("a\u{0}\u{7f}\u{85}", "a\\u{0}\\u{7f}\\u{85}"),
            ("\u{202e}a\u{2066}\u{ad}\u{fe0f}", "\\u{202e}a\\u{2066}\\u{ad}\\u{fe0f}"),
            ("\u{115f}\u{3164}\u{ffa0}\u{2800}\u{e0041}", "\\u{115f}\\u{3164}\\u{ffa0}\\u{2800}\\u{e0041}"),
        ] {
            assert_eq!(visible(text), expected);
        }
    }

    #[test]
    fn a_text_takes_no_more_than_it_may_hold() {
        let mut text = String::new();
        for (piece, max, expected) in
            [("", 0, ("", false)), ("ab", 3, ("ab", false)), ("éc", 3, ("", true)), ("éc", 4, ("é", true))]
        {
            assert_eq!(push_within(&mut text, piece, max), expected);
        }
        assert_eq!(text, "abé");
        while !push_within(&mut text, "0123456789", 1_000).1 {
            assert!(text.capacity() <= 1_000);
        }
        assert_eq!((text.len(), text.capacity()), (1_000, 1_000));
    }

    #[test]
    fn a_text_is_cut_before_the_character_that_does_not_fit() {
        for (text, max, expected) in
            [("", 0, ""), ("abc", 3, "abc"), ("abc", 2, "ab"), ("aé", 2, "a"), ("aé", 3, "aé"), ("😀", 3, "")]
        {
            assert_eq!(cut(text, max), expected);
            let mut owned = text.to_owned();
            assert_eq!(truncate(&mut owned, max), expected != text);
            assert_eq!(owned, expected);
        }
    }
}
