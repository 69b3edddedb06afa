use super::*;
use serde_json::Value;

fn text(written: &str) -> PromptFile {
    PromptFile::read_input(written.as_bytes(), Some("greet")).unwrap()
}

fn complaint(written: &str) -> String {
    PromptFile::read_input(written.as_bytes(), Some("greet")).unwrap_err().to_string()
}

fn chat(written: &str) -> Result<PromptFile, FileFault> {
    PromptFile::parse(written, FileKind::Chat, Some("greet"))
}

const FULL: &str = "---
name: shop.greeting
description: Greets
owner_team: shop
tags: [a, b]
labels: [production]
note: shorter
format: opaque
config:
  model: echo/echo
  params: {temperature: 0}
---

Hi {{name}}
";

#[test]
fn a_text_is_what_the_file_holds_byte_for_byte() {
    for written in [
        "Hi",
        "Hi\n",
        "Hi\n\n",
        "\nHi",
        "a\r\nb\r\n",
        "\u{feff}Hi",
        "----\n",
        "--- a\n",
        " ---\n",
        "a\n---\nb\n---\n",
        "",
    ] {
        assert_eq!(text(written), PromptFile::new("greet", PromptContent::text(written)), "{written:?}");
    }
}

#[test]
fn front_matter_says_all_that_a_registration_takes() {
    let read = text(FULL);
    assert_eq!(read.content.template, ContentTemplate::Text("\nHi {{name}}\n".into()));
    assert_eq!((read.name.as_str(), read.format), ("shop.greeting", v1::TemplateFormat::Opaque));
    assert_eq!((read.description.as_deref(), read.owner_team.as_deref()), (Some("Greets"), Some("shop")));
    assert_eq!(
        (read.tags.clone(), &*read.labels),
        (Some(vec!["a".into(), "b".into()]), &["production".to_owned()][..])
    );
    assert_eq!(read.note, "shorter");
    let config = read.content.config.clone().unwrap();
    assert_eq!((config.model.unwrap().model_name, config.params.unwrap().temperature), ("echo".into(), Some(0.0)));
    assert_eq!(text(&write(&read)), read);
    for (written, template) in [
        ("---\n---\n", ""),
        ("---\n# x\n---  \nHi", "Hi"),
        ("---\r\nname: x\r\n---\r\nHi\r\n", "Hi\r\n"),
        ("---\n---", ""),
    ] {
        assert_eq!(text(written).content, PromptContent::text(template), "{written:?}");
    }
}

#[test]
fn what_is_wrong_is_told_with_file_line_and_key() {
    for (written, said) in [
        ("---\nname: x\n", "standard input:1: begins front matter that no second line"),
        ("\u{feff}---\nname: x\n---\n", "byte order mark"),
        ("---\nname: x\nlables: [a]\n---\n", "standard input:3: `lables` is not known: known are `name`"),
        ("---\nlabels: production\n---\n", "standard input:2: `labels` is a text: write a list"),
        ("---\n\nconfig:\n  params:\n    temp: 1\n---\n", "standard input:5: `config.params.temp` is not known here"),
        ("---\nname: 7\n---\n", "`name` is a number: write a text, in quotes"),
        ("---\nformat: jinja\n---\n", "one of handlebars, opaque"),
        ("---\nmessages: []\n---\n", "`messages` is not known"),
        ("---\na heading\n---\n", "standard input:2: holds a text where keys"),
        ("---\nname: [x\n---\n", "is no YAML"),
        ("---\nname: a b\n---\n", "`a b`, which is no name"),
        ("---\nname: ''\n---\n", "``, which is no name"),
    ] {
        assert!(complaint(written).contains(said), "{written}: {}", complaint(written));
    }
    let nameless = PromptFile::read_input(&b"Hi"[..], None).unwrap_err().to_string();
    assert!(nameless.contains("write `name: shop.greeting`"), "{nameless}");
    let odd = PromptFile::read_input(&b"a\n\xff"[..], Some("x")).unwrap_err().to_string();
    assert!(odd.contains("standard input:2: is not UTF-8"), "{odd}");
    let long = PromptFile::read_input(std::io::repeat(b'a'), Some("x")).unwrap_err().to_string();
    assert!(long.contains("more than 1 MiB"), "{long}");
    assert!(chat("config: {}").unwrap_err().to_string().contains("no `messages`"));
    assert!(chat("format: opaque\nmessages: []").unwrap_err().to_string().contains("and `messages`"));
    let absent = PromptFile::read(Path::new("x.rst")).unwrap_err().to_string();
    assert!(absent.starts_with("x.rst: cannot be read: "), "{absent}");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.rst");
    std::fs::write(&path, "Hi").unwrap();
    let unknown = PromptFile::read(&path).unwrap_err().to_string();
    assert!(unknown.contains("x.rst: has an extension that is none of a prompt: .hbs"), "{unknown}");
}

/// The contents with hashes that all clients share, as files and back: the same content has the same hash.
#[test]
fn what_is_written_reads_as_the_same_content() {
    let vectors: Vec<Value> =
        serde_json::from_str(include_str!("../../../../proto/testdata/content_hashes.json")).unwrap();
    let mut chats = 0;
    for vector in &vectors {
        let mut request = vector["content"].clone();
        request["name"] = "x".into();
        let put: v1::PutPromptRequest = crate::contract_json::read("PutPromptRequest", request).unwrap();
        let template = match put.template.unwrap() {
            v1::put_prompt_request::Template::TemplateSource(text) => ContentTemplate::Text(text),
            v1::put_prompt_request::Template::ChatTemplate(chat) => ContentTemplate::Chat(chat),
        };
        let before = PromptFile::new("x", PromptContent { template, config: put.config });
        let written = write(&before);
        let read = match &before.content.template {
            ContentTemplate::Text(_) => text(&written),
            ContentTemplate::Chat(_) => {
                chats += 1;
                chat(&written).unwrap()
            }
        };
        assert_eq!(read, before, "{}\n{written}", vector["name"]);
    }
    assert!(vectors.len() >= 30 && chats >= 3, "{} vectors, {chats} chats", vectors.len());
}

#[test]
fn a_chat_file_is_written_for_people() {
    let written = "name: greet\nlabels:\n  - eu\nmessages:\n  - role: system\n    content: |\n      Be brief.\n      Be kind.\n  - placeholder: history\n  \
                   - role: user\n    content: \"{{question}}\"\n";
    assert_eq!(write(&chat(written).unwrap()), written);
}

#[test]
fn a_chat_with_all_the_images_that_it_may_have_is_written_and_read() {
    let image = v1::ImagePart {
        source: Some(v1::image_part::Source::Data(vec![7; 768 * 1024])),
        media_type: "image/png".into(),
        ..v1::ImagePart::default()
    };
    let part = v1::ContentPart { part: Some(v1::content_part::Part::Image(image)) };
    let message = v1::ChatMessage { role: "user".into(), parts: vec![part], ..v1::ChatMessage::default() };
    let entry = v1::ChatTemplateEntry { entry: Some(v1::chat_template_entry::Entry::Message(message)) };
    let template = ContentTemplate::Chat(v1::ChatTemplate { entries: vec![entry] });
    let before = PromptFile::new("x", PromptContent { template, config: None });
    let path = tempfile::TempDir::new().unwrap();
    let path = path.path().join("x.yaml");
    std::fs::write(&path, write(&before)).unwrap();
    assert_eq!(PromptFile::read(&path).unwrap(), PromptFile { path: path.clone(), ..before });
    std::fs::write(&path, "#".repeat(2 * 1024 * 1024 + 1)).unwrap();
    assert!(PromptFile::read(&path).unwrap_err().to_string().contains("more than 2 MiB"));
}
