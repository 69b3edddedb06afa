//! Tables of templates, values and expected results.

mod bounds;
mod chats;
mod grammars;
mod likeness;
mod lookalikes;
mod memory;
mod oracle;
mod refusals;
mod rendering;
mod steps;
mod strictness;

use serde_json::Value;

use crate::{Rendered, Template};
use prompt_ledger_domain::error::{Error, Reason, Result};

fn rendered(template: &str, variables: &Value) -> Result<Rendered> {
    let rendered = Template::parse(template)?.render(variables.as_object().expect("variables are an object"), &|| true);
    rendered.expect("it goes on")
}

/// Number of steps that rendering takes, also where it fails.
fn steps(template: &str, variables: &Value) -> usize {
    let template = Template::parse(template).expect("a template");
    super::render::render(&template.tree.nodes, variables.as_object().expect("variables are an object"), &|| true).0
}

fn text(template: &str, variables: &Value) -> String {
    match rendered(template, variables) {
        Ok(rendered) => rendered.text,
        Err(error) => panic!("{template:?}: {error}"),
    }
}

/// The reason of the error, and the fields in its violations.
fn faults(template: &str, variables: &Value) -> (Reason, Vec<String>) {
    let error = rendered(template, variables).expect_err(template);
    (error.reason(), error.parts().violations.iter().map(|violation| violation.field.clone()).collect())
}

/// `line:column: message` of the error for a template that does not parse.
fn refusal(template: &str) -> String {
    let error: Error = Template::parse(template).expect_err(template);
    assert_eq!(error.reason(), Reason::TemplateInvalid, "{template}: {error}");
    match error.parts().metadata.as_slice() {
        [("line", line), ("column", column)] => {
            let place = format!("TEMPLATE_INVALID: template: line {line}, column {column}: ");
            let message = error.to_string();
            format!("{line}:{column}: {}", message.strip_prefix(&place).expect("the message has the place, too"))
        }
        other => panic!("{template}: {other:?}"),
    }
}
