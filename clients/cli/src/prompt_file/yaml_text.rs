//! YAML that people like to read, and that reads as what was written.

use crate::prompt_file::yaml::{YamlNode, YamlValue};

/// The lines of a mapping. Texts of several lines stand as blocks.
pub(crate) fn lines(mapping: &[(String, YamlNode)]) -> String {
    let mut text = String::new();
    entries(mapping, 0, false, &mut text);
    text
}

/// `begun`: the first entry stands behind a `- ` that is written already.
fn entries(mapping: &[(String, YamlNode)], indent: usize, begun: bool, text: &mut String) {
    for (index, (key, node)) in mapping.iter().enumerate() {
        if index > 0 || !begun {
            text.push_str(&" ".repeat(indent));
        }
        text.push_str(&single_line(key));
        text.push(':');
        match &node.value {
            YamlValue::Mapping(below) if !below.is_empty() => {
                text.push('\n');
                entries(below, indent + 2, false, text);
            }
            YamlValue::List(below) if !below.is_empty() => {
                text.push('\n');
                list(below, indent + 2, false, text);
            }
            value => {
                text.push(' ');
                scalar(value, indent + 2, text);
            }
        }
    }
}

fn list(nodes: &[YamlNode], indent: usize, begun: bool, text: &mut String) {
    for (index, node) in nodes.iter().enumerate() {
        if index > 0 || !begun {
            text.push_str(&" ".repeat(indent));
        }
        text.push_str("- ");
        match &node.value {
            YamlValue::Mapping(below) if !below.is_empty() => entries(below, indent + 2, true, text),
            YamlValue::List(below) if !below.is_empty() => list(below, indent + 2, true, text),
            value => scalar(value, indent + 2, text),
        }
    }
}

fn scalar(value: &YamlValue, indent: usize, text: &mut String) {
    let shown = match value {
        YamlValue::Null => "null".to_owned(),
        YamlValue::Bool(value) => value.to_string(),
        YamlValue::Number(number) => number.to_string(),
        YamlValue::List(_) => "[]".to_owned(),
        YamlValue::Mapping(_) => "{}".to_owned(),
        YamlValue::Text(content) if is_block(content) => return block(content, indent, text),
        YamlValue::Text(content) => single_line(content),
    };
    text.push_str(&shown);
    text.push('\n');
}

/// Whether the text can stand as a block: nothing to escape, and no line of blanks alone, which an editor may strip.
fn is_block(content: &str) -> bool {
    let blank = |line: &str| !line.is_empty() && line.trim_matches([' ', '\t']).is_empty();
    content.contains('\n')
        && !content.trim_matches('\n').is_empty()
        && !content.chars().any(must_escape)
        && !content.split('\n').any(blank)
}

fn block(content: &str, indent: usize, text: &mut String) {
    let body = content.trim_end_matches('\n');
    let chomping = match content.len() - body.len() {
        0 => "-",
        1 => "",
        _ => "+",
    };
    // Said where the first line would mislead a reader about the indentation.
    let indentation = if content.starts_with([' ', '\t', '\n']) { "2" } else { "" };
    text.push_str(&format!("|{indentation}{chomping}\n"));
    for line in content.strip_suffix('\n').unwrap_or(content).split('\n') {
        if !line.is_empty() {
            text.push_str(&" ".repeat(indent));
            text.push_str(line);
        }
        text.push('\n');
    }
}

/// Control characters but line feeds and tabs, and what is invisible or reorders a line.
fn must_escape(c: char) -> bool {
    (c.is_control() && !matches!(c, '\n' | '\t'))
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}')
}

/// A text in one line, in quotes where it needs them.
fn single_line(content: &str) -> String {
    let first = content.chars().next().is_some_and(|c| c.is_ascii_alphabetic());
    let simple = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '/' | ' ' | ',' | '(' | ')');
    let word = content.to_ascii_lowercase();
    let reserved = ["true", "false", "null", "yes", "no", "on", "off", "y", "n"].contains(&&*word);
    if first && content.chars().all(simple) && !content.ends_with(' ') && !reserved {
        return content.to_owned();
    }
    let mut quoted = "\"".to_owned();
    for c in content.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            '\r' => quoted.push_str("\\r"),
            c if must_escape(c) => quoted.push_str(&format!("\\U{:08X}", u32::from(c))),
            c => quoted.push(c),
        }
    }
    quoted + "\""
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prompt_file::contract_yaml::unplaced;
    use crate::prompt_file::json_text;
    use crate::prompt_file::yaml;
    use serde_json::json;

    fn mapping(value: serde_json::Value) -> Vec<(String, YamlNode)> {
        match json_text::node(value) {
            YamlValue::Mapping(mapping) => mapping,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn it_is_what_a_person_would_have_written() {
        let written = lines(&mapping(json!({
            "a": "Be brief.", "b": [{"role": "user", "text": "One\n  two\n"}, [1, []], {}], "c": {"d": {}, "e": 0.5, "f": "a: b"},
        })));
        let expected = "a: Be brief.\nb:\n  - role: user\n    text: |\n      One\n        two\n  - - 1\n    - []\n  - {}\n\
                        c:\n  d: {}\n  e: 0.5\n  f: \"a: b\"\n";
        assert_eq!(written, expected);
    }

    #[test]
    fn every_text_reads_as_it_was() {
        let odd = [
            "",
            " ",
            "\n",
            "\n\n",
            "a",
            "a ",
            " a",
            "a\n",
            "a\n\n",
            "\na",
            "\n\na\n",
            " a\nb\n",
            "\ta\nb",
            "a\n b",
            "a\n \nb",
            "a\n\n\nb\n\n\n",
            "a\r\nb\r\n",
            "a\rb",
            "---",
            "---\na",
            "a\n---\nb\n",
            "...\n",
            "# a\n# b",
            "true",
            "No",
            "null",
            "~",
            "12",
            "1.5",
            "0x1f",
            "1e5",
            "-",
            "- a",
            "? a",
            ": a",
            "a: b",
            "a #b",
            "a:",
            "&a",
            "*a",
            "!a",
            "%a",
            "@a",
            "`a`",
            "|",
            ">",
            "'a'",
            "\"a\"",
            "a\\b",
            "{{name}}",
            "{% if %}",
            "[a]",
            "{a: b}",
            "a\tb",
            "a\t",
            "é",
            "日本",
            "😀",
            "\u{feff}a",
            "a\u{202e}b\nc",
            "a\u{85}b",
            "a\u{2028}b",
            "\u{0}\u{1}\u{7f}",
            "a\u{ffff}",
            "<<",
            "=",
            "=\n=\n",
            "\"",
            "x\n#y\n",
            "\t\n",
            "a\n\t\n",
            "a\nb \nc\t\n",
            "\n a",
            "  \n a\n",
            "{{#each x}}\n  {{this}}\n{{/each}}\n",
        ];
        for text in odd {
            for value in [
                json!({"k": text}),
                json!({"k": [text, {"a": text, "b": text}]}),
                json!({"k": {"l": text}, text: 1, "z": text}),
            ] {
                let before = unplaced(YamlValue::Mapping(mapping(value)));
                let YamlValue::Mapping(entries) = &before.value else { panic!() };
                let written = lines(entries);
                let read = yaml::parse(&written).unwrap_or_else(|fault| panic!("{text:?}: {fault}\n{written}"));
                assert_eq!(json_text::compact(&read.value), json_text::compact(&before.value), "{text:?}\n{written}");
            }
        }
    }
}
