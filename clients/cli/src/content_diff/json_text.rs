//! JSON texts of others, laid out for comparing.

/// The JSON text with a line for each of its values, its keys in their order; absent where it is no JSON.
pub(super) fn indented(text: &str) -> Option<String> {
    serde_json::from_str::<serde::de::IgnoredAny>(text).ok()?;
    let mut shown = String::with_capacity(text.len() * 2);
    let (mut depth, mut in_string, mut is_escaped) = (0_usize, false, false);
    let mut characters = text.chars().peekable();
    while let Some(c) = characters.next() {
        if in_string {
            shown.push(c);
            in_string = is_escaped || c != '"';
            is_escaped = !is_escaped && c == '\\';
            continue;
        }
        match c {
            '{' | '[' => {
                while characters.next_if(|c| c.is_ascii_whitespace()).is_some() {}
                shown.push(c);
                if let Some(end) = characters.next_if(|c| matches!(c, '}' | ']')) {
                    shown.push(end);
                } else {
                    depth += 1;
                    new_line(&mut shown, depth);
                }
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                new_line(&mut shown, depth);
                shown.push(c);
            }
            ',' => {
                shown.push(c);
                new_line(&mut shown, depth);
            }
            ':' => shown.push_str(": "),
            c if c.is_ascii_whitespace() => {}
            c => {
                in_string = c == '"';
                shown.push(c);
            }
        }
    }
    shown.push('\n');
    Some(shown)
}

fn new_line(shown: &mut String, depth: usize) {
    shown.push('\n');
    shown.extend(std::iter::repeat_n("  ", depth));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_value_has_a_line_and_keys_keep_their_order() {
        let text = r#"{"z":[1, 2.50,{ }],"a" : {"b\"}{":"x, y: [\\"}, "c":[ ],"d":null}"#;
        let lines = "{\n  \"z\": [\n    1,\n    2.50,\n    {}\n  ],\n  \"a\": {\n    \"b\\\"}{\": \"x, y: [\\\\\"\n  },\n  \"c\": [],\n  \"d\": null\n}\n";
        assert_eq!(indented(text).unwrap(), lines);
        assert_eq!(indented(lines).unwrap(), lines);
        assert_eq!(indented("{\"a\":"), None);
        assert_eq!(indented(""), None);
    }
}
