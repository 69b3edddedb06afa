//! Cutting of texts to a number of bytes, at a character boundary.

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

#[cfg(test)]
mod tests {
    use super::*;

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
