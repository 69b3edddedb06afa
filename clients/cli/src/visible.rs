//! Escapes characters in others' text that are invisible, control a terminal or reorder a line.

/// Where a text is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// On its own: line breaks and tabs stay.
    Text,
    /// In a line with other parts: a line break could forge another line.
    Line,
    /// Serialized JSON: only its strings contain non-ASCII characters, and it stays the same JSON.
    Json,
}

/// The text with its hidden characters as `\u{202e}`, in JSON as `\u202e`.
pub(crate) fn visible(text: &str, place: Place) -> String {
    visible_after(&mut Joiners::default(), text, place)
}

/// The joiners and selectors that are valid next: those of an emoji, directly after it, and one between letters of a script that is
/// written with them, such as Persian. Elsewhere they are escaped like other hidden characters.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Joiners(&'static [char]);

/// As [`visible`], for the next piece of a text.
pub(crate) fn visible_after(joiners: &mut Joiners, text: &str, place: Place) -> String {
    let mut shown = String::with_capacity(text.len());
    let Joiners(may_follow) = joiners;
    for c in text.chars() {
        let joins = place != Place::Json && may_follow.contains(&c);
        let breaks = match place {
            Place::Text => matches!(c, '\n' | '\t'),
            Place::Line => false,
            // Between values; within strings they are escaped already.
            Place::Json => c == '\n',
        };
        let hidden = is_hidden(c) && !joins && !breaks;
        match place {
            _ if !hidden => shown.push(c),
            Place::Json => {
                let units = c.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")).collect::<String>();
                shown.push_str(&units);
            }
            Place::Text | Place::Line => shown.extend(c.escape_default()),
        }
        let is_symbol = !(c.is_ascii() || c.is_alphanumeric() || c.is_whitespace() || is_hidden(c));
        *may_follow = match c {
            '\u{fe0e}' | '\u{fe0f}' if joins => &['\u{200d}'],
            // Arabic, and the scripts of India.
            '\u{620}'..='\u{6ff}' | '\u{750}'..='\u{77f}' | '\u{900}'..='\u{dff}' => &['\u{200c}', '\u{200d}'],
            _ if is_symbol => &['\u{200d}', '\u{fe0e}', '\u{fe0f}'],
            _ => &[],
        };
    }
    shown
}

/// Control characters, line separators, and what Unicode 16 calls default ignorable: bidirectional controls, zero-width
/// characters, fillers, variation selectors and tags.
fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}'
            | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_hidden_is_escaped_and_all_else_stays() {
        for (text, shown) in [
            ("hello, Grüße, 你好, שלום, नमस्ते, a\u{301}, 😀", "hello, Grüße, 你好, שלום, नमस्ते, a\u{301}, 😀"),
            ("gr\u{202e}teeg", r"gr\u{202e}teeg"),
            ("\u{2066}a\u{2069}\u{200e}\u{200f}\u{61c}", r"\u{2066}a\u{2069}\u{200e}\u{200f}\u{61c}"),
            ("a\u{200b}b\u{200c}c\u{200d}d\u{feff}", r"a\u{200b}b\u{200c}c\u{200d}d\u{feff}"),
            ("\u{ad}\u{3164}\u{2060}\u{e0041}\u{2028}", r"\u{ad}\u{3164}\u{2060}\u{e0041}\u{2028}"),
            ("\u{1b}[2J\u{7}\u{7f}\u{9b}\r", r"\u{1b}[2J\u{7}\u{7f}\u{9b}\r"),
            ("a\u{fe0f} \u{fe0f}1\u{fe0f}", r"a\u{fe0f} \u{fe0f}1\u{fe0f}"),
            ("❤\u{fe0f} 👨\u{200d}💻 ❤\u{fe0f}\u{200d}🔥", "❤\u{fe0f} 👨\u{200d}💻 ❤\u{fe0f}\u{200d}🔥"),
            ("❤\u{fe0f}\u{fe0f}", "❤\u{fe0f}\\u{fe0f}"),
            ("👨\u{200d}\u{200d}", "👨\u{200d}\\u{200d}"),
            ("👨\u{202e}\u{200d}", r"👨\u{202e}\u{200d}"),
            ("می\u{200c}خواهم, क्\u{200d}ष", "می\u{200c}خواهم, क्\u{200d}ष"),
            ("می\u{200c}\u{200c}خ", "می\u{200c}\\u{200c}خ"),
        ] {
            assert_eq!(visible(text, Place::Text), shown);
            assert_eq!(visible(text, Place::Line), shown);
        }
    }

    #[test]
    fn an_emoji_may_come_in_pieces() {
        let mut joiners = Joiners::default();
        let shown = ["❤", "\u{fe0f}", "\u{200d}🔥 a", "\u{fe0f}"]
            .map(|piece| visible_after(&mut joiners, piece, Place::Text))
            .concat();
        assert_eq!(shown, "❤\u{fe0f}\u{200d}🔥 a\\u{fe0f}");
    }

    #[test]
    fn lines_and_tabs_stay_only_where_the_text_itself_is_shown() {
        assert_eq!(visible("a\n\tb", Place::Text), "a\n\tb");
        assert_eq!(visible("a\n\tb", Place::Line), r"a\n\tb");
    }

    #[test]
    fn json_stays_the_same_json() {
        let value = serde_json::json!({"a\u{202e}": "\u{200b}b\n❤\u{fe0f}\u{7f}\u{e0041}\\ü"});
        let shown = visible(&value.to_string(), Place::Json);
        assert_eq!(shown, r#"{"a\u202e":"\u200bb\n❤\ufe0f\u007f\udb40\udc41\\ü"}"#);
        assert_eq!(serde_json::from_str::<serde_json::Value>(&shown).unwrap(), value);
        let lines = visible(&format!("{value:#}"), Place::Json);
        assert_eq!(lines.lines().count(), 3);
        assert_eq!(serde_json::from_str::<serde_json::Value>(&lines).unwrap(), value);
    }
}
