use prompt_ledger_domain::chat::{ChatTemplate, ChatTemplateEntry};
use prompt_ledger_domain::config::VersionConfig;

use super::*;

fn chat() -> VersionContent {
    let mut entries: Vec<_> = chat::tests::every_field().into_iter().map(ChatTemplateEntry::Message).collect();
    entries.push(ChatTemplateEntry::Placeholder("history".into()));
    let template = PromptTemplate::Chat(ChatTemplate { entries });
    VersionContent { template, config: config::tests::every_field() }
}

macro_rules! reads_back {
    ($($name:ident: $read:ident as $oneof:path,)*) => {$(
        #[test]
        fn $name() {
            use $oneof as Wire;
            for content in [chat(), VersionContent::text("Hi {{name}}")] {
                let (template, config) = to_version(content.clone());
                let template = match template {
                    v1::prompt_version::Template::TemplateSource(source) => Wire::TemplateSource(source),
                    v1::prompt_version::Template::ChatTemplate(chat) => Wire::ChatTemplate(chat),
                };
                let mut violations = Violations::default();
                assert_eq!($read("", Some(template), config, &mut violations), Some(content));
                assert_eq!(violations, Violations::default());
            }
            assert_eq!($read("", None, None, &mut Violations::default()), None);
        }
    )*};
}

reads_back! {
    a_content_that_is_put_survives_the_wire: put as v1::put_prompt_request::Template,
    a_content_that_code_carries_survives_the_wire: carried as v1::code_prompt::Template,
    a_draft_survives_the_wire: draft as v1::prompt_draft::Template,
    a_content_that_was_exported_survives_the_wire: exported as v1::exported_version::Template,
}

#[test]
fn what_is_wrong_is_noted_below_the_field_that_holds_the_content() {
    let entries = vec![v1::ChatTemplateEntry { entry: None }];
    let template = v1::code_prompt::Template::ChatTemplate(v1::ChatTemplate { entries });
    let sent = v1::VersionConfig { response_format: Some(Default::default()), ..Default::default() };
    let mut violations = Violations::default();
    let read = carried("prompts[1]", Some(template), Some(sent), &mut violations).unwrap();
    assert_eq!(read.config, VersionConfig::default());
    let paths: Vec<_> = violations.kept().iter().map(|v| &*v.field).collect();
    assert_eq!(paths, ["prompts[1].chat_template.entries[0]", "prompts[1].config.response_format"]);
}

#[test]
fn a_format_that_is_not_known_is_noted() {
    let mut violations = Violations::default();
    for (sent, expected) in [
        (0, TemplateFormat::Handlebars),
        (1, TemplateFormat::Handlebars),
        (2, TemplateFormat::Opaque),
        (3, TemplateFormat::Handlebars),
    ] {
        assert_eq!(format("template_format", sent, &mut violations), expected);
    }
    assert_eq!(violations.kept().len(), 1);
    for format in [TemplateFormat::Handlebars, TemplateFormat::Opaque] {
        assert_eq!(super::format("", to_format(format).into(), &mut violations), format);
    }
}
