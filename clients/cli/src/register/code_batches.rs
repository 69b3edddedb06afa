//! Prompts in files as RegisterCodePrompts takes them, in calls of bounded size.

use prompt_ledger_client::v1;
use prost::Message as _;

use super::git_source::{GitSource, fitting};
use crate::prompt_content::{ContentTemplate, PromptContent};
use crate::prompt_file::PromptFile;

/// The contract's bound.
const MAX_PROMPTS: usize = 1_000;
/// Below the 4 MiB of a request, with room for what stands around the prompts.
const MAX_BYTES: usize = 3_500 * 1024;
/// The contract's bound of chat entries, parts, calls, tools and labels, each.
const MAX_PARTS: usize = 10_000;

/// The prompt as the contract says it; its path counts from the repository, or where there is none from here.
pub(super) fn code_prompt(file: &PromptFile, git: Option<&GitSource>) -> v1::CodePrompt {
    let path = git.and_then(|git| git.path_of(&file.path)).unwrap_or_else(|| file.path.to_string_lossy().into_owned());
    v1::CodePrompt {
        name: file.name.clone(),
        template: Some(file.content.code_template()),
        template_format: file.format.into(),
        template_hash: String::new(),
        description: file.description.clone(),
        owner_team: file.owner_team.clone(),
        path: fitting(&path).to_owned(),
        config: file.content.config.clone(),
        labels: file.labels.clone(),
        note: file.note.clone(),
    }
}

/// The ranges of the calls, in order.
pub(super) fn batches(files: &[PromptFile], prompts: &[v1::CodePrompt]) -> Vec<std::ops::Range<usize>> {
    let (mut ranges, mut begin, mut bytes, mut parts) = (Vec::new(), 0, 0, 0);
    for (index, (file, prompt)) in files.iter().zip(prompts).enumerate() {
        let (own_bytes, own_parts) = (prompt.encoded_len() + 8, parts_of(&file.content) + file.labels.len());
        let full = index - begin == MAX_PROMPTS || bytes + own_bytes > MAX_BYTES || parts + own_parts > MAX_PARTS;
        if full && index > begin {
            ranges.push(begin..index);
            (begin, bytes, parts) = (index, 0, 0);
        }
        bytes += own_bytes;
        parts += own_parts;
    }
    ranges.push(begin..files.len());
    ranges
}

/// All that repeats in a content.
fn parts_of(content: &PromptContent) -> usize {
    use v1::chat_template_entry::Entry;
    let of_entry = |entry: &v1::ChatTemplateEntry| match &entry.entry {
        Some(Entry::Message(message)) => 1 + message.parts.len() + message.tool_calls.len(),
        Some(Entry::Placeholder(_)) | None => 1,
    };
    let chat = match &content.template {
        ContentTemplate::Chat(chat) => chat.entries.iter().map(of_entry).sum(),
        ContentTemplate::Text(_) => 0,
    };
    let config = content.config.as_ref();
    let stop = config.and_then(|config| config.params.as_ref()?.stop.as_ref()).map_or(0, |stop| stop.values.len());
    chat + stop + config.map_or(0, |config| config.tools.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sizes(files: &[PromptFile]) -> Vec<usize> {
        let prompts: Vec<_> = files.iter().map(|file| code_prompt(file, None)).collect();
        batches(files, &prompts).into_iter().map(|range| range.len()).collect()
    }

    fn text(size: usize) -> PromptFile {
        PromptFile::new("x", PromptContent::text("x".repeat(size)))
    }

    #[test]
    fn calls_are_bounded_in_prompts_bytes_and_parts() {
        assert_eq!(sizes(&vec![text(10); 2_500]), [1_000, 1_000, 500]);
        assert_eq!(sizes(&vec![text(200 * 1024); 40]), [17, 17, 6]);
        let entry = v1::ChatTemplateEntry { entry: Some(v1::chat_template_entry::Entry::Placeholder("h".into())) };
        let chat = ContentTemplate::Chat(v1::ChatTemplate { entries: vec![entry; 100] });
        let chat = PromptFile::new("x", PromptContent { template: chat, config: None });
        assert_eq!(sizes(&vec![chat; 250]), [100, 100, 50]);
        // One that is alone is sent as it is: the server decides.
        assert_eq!(sizes(&[text(10), text(5_000_000), text(10)]), [1, 1, 1]);
    }

    #[test]
    fn a_path_that_is_too_long_is_not_told() {
        let file = PromptFile { path: "x/".repeat(200).into(), ..text(1) };
        assert_eq!(code_prompt(&file, None).path, "");
        assert_eq!(code_prompt(&PromptFile { path: "x/y.hbs".into(), ..text(1) }, None).path, "x/y.hbs");
    }
}
