//! Texts cut at a character's edge.

/// The longest start of `text` of at most `max` bytes that splits no character.
#[must_use]
pub fn cut(text: &str, max: usize) -> &str {
    &text[..text.floor_char_boundary(max)]
}

/// Cuts `text` in place, and gives back the memory of what was cut away; true when something was.
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
