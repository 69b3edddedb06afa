//! docs/operations.md as a test reads it: sections of blocks and events.
//!
//! A block is fenced by ```` ```sh ````, with a second word where it is more than lines to run ([`BlockUse`]). Comments in it say what
//! the lines before them print, back to an empty line or to such comments, one line each, where `...` stands for anything and blanks for any blanks:
//!
//! - `# prints: TEXT`: they print it now, in this order, among other lines.
//! - `# soon prints: TEXT`: they print it when they are repeated for a while.
//! - `# exits with N`: the last of them does, instead of with 0.
//!
//! An event is what happens to the ledger between blocks, in a comment that no reader sees: `<!-- test: the worker is killed -->`.

/// What is done with a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BlockUse {
    /// Its lines are run.
    Lines,
    /// Its lines are run, at the beginning of every other section too.
    Settings,
    /// Its last line starts a server, which stays.
    Server,
    /// Its last line starts a worker, which stays.
    Worker,
}

/// Lines of a block that are run together, and what is said of them.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct ShellLines {
    pub(super) script: String,
    pub(super) prints: Vec<String>,
    /// Whether they may be repeated until they print it.
    pub(super) soon: bool,
    pub(super) exits_with: i32,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum SectionPart {
    Block(BlockUse, Vec<ShellLines>),
    Event(String),
}

#[derive(Debug)]
pub(super) struct OperatorSection {
    pub(super) title: String,
    pub(super) parts: Vec<SectionPart>,
}

impl OperatorSection {
    /// Whether anything is run in it.
    pub(super) fn is_run(&self) -> bool {
        !self.script().is_empty()
    }

    /// All that is run in it.
    pub(super) fn script(&self) -> String {
        let blocks = self.parts.iter().filter_map(|part| match part {
            SectionPart::Block(_, lines) => Some(lines),
            SectionPart::Event(_) => None,
        });
        blocks.flatten().map(|lines| &*lines.script).collect()
    }

    pub(super) fn has_event(&self, event: &str) -> bool {
        self.parts.iter().any(|part| matches!(part, SectionPart::Event(found) if found == event))
    }

    /// How it starts servers and workers.
    pub(super) fn starts(&self) -> impl Iterator<Item = (BlockUse, String)> {
        self.parts.iter().filter_map(|part| match part {
            SectionPart::Block(used @ (BlockUse::Server | BlockUse::Worker), lines) => {
                Some((*used, lines.first()?.script.clone()))
            }
            _ => None,
        })
    }

    /// The blocks that other sections begin with.
    pub(super) fn settings(&self) -> impl Iterator<Item = &[ShellLines]> {
        self.parts.iter().filter_map(|part| match part {
            SectionPart::Block(BlockUse::Settings, lines) => Some(&**lines),
            _ => None,
        })
    }
}

/// The sections of the document, by their headings of the second level.
pub(super) fn sections(document: &str) -> Vec<OperatorSection> {
    let mut sections: Vec<OperatorSection> = Vec::new();
    let mut lines = document.lines();
    while let Some(line) = lines.next() {
        if let Some(title) = line.strip_prefix("## ") {
            sections.push(OperatorSection { title: title.to_owned(), parts: Vec::new() });
        }
        let part = if let Some(info) = line.strip_prefix("```") {
            let block: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
            block_use(info).map(|used| SectionPart::Block(used, shell_lines(&block)))
        } else {
            let event = line.strip_prefix("<!-- test: ").and_then(|rest| rest.strip_suffix(" -->"));
            event.map(|event| SectionPart::Event(event.to_owned()))
        };
        if let Some(part) = part {
            sections.last_mut().expect("a block stands below a heading").parts.push(part);
        }
    }
    sections
}

/// Absent: the block is no shell's.
fn block_use(info: &str) -> Option<BlockUse> {
    match info {
        "sh" => Some(BlockUse::Lines),
        "sh settings" => Some(BlockUse::Settings),
        "sh server" => Some(BlockUse::Server),
        "sh worker" => Some(BlockUse::Worker),
        _ => {
            assert!(!info.starts_with("sh"), "a block of shell that is not run: {info}");
            None
        }
    }
}

fn shell_lines(block: &[&str]) -> Vec<ShellLines> {
    let mut all = vec![ShellLines::default()];
    for line in block {
        let last = all.last_mut().unwrap();
        if let Some(text) = line.strip_prefix("# prints: ") {
            last.prints.push(text.to_owned());
        } else if let Some(text) = line.strip_prefix("# soon prints: ") {
            last.prints.push(text.to_owned());
            last.soon = true;
        } else if let Some(code) = line.strip_prefix("# exits with ") {
            last.exits_with = code.parse().expect("an exit code");
        } else {
            let is_ended = line.is_empty() || !last.prints.is_empty() || last.exits_with != 0;
            if is_ended {
                all.push(ShellLines::default());
            }
            all.last_mut().unwrap().script.push_str(&format!("{line}\n"));
        }
    }
    all
}

/// The anchors of a page's headings, as they are shown on the web.
pub(super) fn anchors(page: &str) -> Vec<String> {
    let headings = page.lines().filter(|line| line.starts_with('#'));
    let titles = headings.filter_map(|line| line.split_once(' ')).map(|(_, title)| title.to_lowercase());
    titles.map(|title| title.replace(' ', "-").replace(|c: char| !(c.is_alphanumeric() || c == '-'), "")).collect()
}

/// The links of a page: a file, empty for the page itself, and an anchor, empty for the file as a whole.
pub(super) fn links(page: &str) -> Vec<(&str, &str)> {
    let links = page.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    let links = links.filter(|link| !link.contains("://"));
    links.map(|link| link.split_once('#').unwrap_or((link, ""))).collect()
}

/// The first of the expected lines that the output does not have behind those before it.
pub(super) fn missing<'e>(output: &str, expected: &'e [String]) -> Option<&'e str> {
    let mut lines = output.lines();
    expected.iter().map(String::as_str).find(|expected| !lines.any(|line| is_printed(line, expected)))
}

fn is_printed(line: &str, expected: &str) -> bool {
    let line = line.split_whitespace().collect::<Vec<_>>().join(" ");
    let expected = expected.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut parts = expected.split("...");
    let Some(mut rest) = parts.next().and_then(|first| line.strip_prefix(first)) else { return false };
    let parts: Vec<&str> = parts.collect();
    let Some((last, between)) = parts.split_last() else { return rest.is_empty() };
    for part in between {
        let Some((_, behind)) = rest.split_once(part) else { return false };
        rest = behind;
    }
    rest.ends_with(last)
}

#[test]
fn a_document_is_read_as_sections_of_blocks_and_events() {
    let document = "# Title\n\n## One\n\n```sh settings\nexport A=1\n```\n\n```json\n{}\n```\n\n## Two\n\n\
        <!-- test: it rains -->\n\n```sh\nA=1\n\necho 1 \\\n  2\n# prints: 1 2\nfalse\n# exits with 1\ncat x\n# soon prints: a\n# soon prints: b\n```\n";
    let found = sections(document);
    let titles: Vec<_> = found.iter().map(|section| (&*section.title, section.is_run())).collect();
    assert_eq!(titles, [("One", true), ("Two", true)]);
    assert_eq!(found[0].settings().count(), 1);
    assert!(found[1].has_event("it rains") && !found[0].has_event("it rains"));
    let lines = |script: &str, prints: &[&str], soon, exits_with| ShellLines {
        script: script.to_owned(),
        prints: prints.iter().map(|&text| text.to_owned()).collect(),
        soon,
        exits_with,
    };
    let expected = vec![
        lines("A=1\n", &[], false, 0),
        lines("\necho 1 \\\n  2\n", &["1 2"], false, 0),
        lines("false\n", &[], false, 1),
        lines("cat x\n", &["a", "b"], true, 0),
    ];
    assert_eq!(found[1].parts[1], SectionPart::Block(BlockUse::Lines, expected));
}

#[test]
fn what_is_printed_is_compared_in_order_and_dots_stand_for_anything() {
    let output = "NAME   VERSION\ngreet  1\nkey 0190-a is new\n";
    for (expected, absent) in [
        (&["NAME VERSION", "greet 1", "key ... is new"][..], None),
        (&["greet 1", "NAME VERSION"], Some("NAME VERSION")),
        (&["greet"], Some("greet")),
        (&["greet ..."], None),
        (&["... is ..."], None),
        (&["...", "...", "...", "..."], Some("...")),
        (&["key ... was ..."], Some("key ... was ...")),
        (&["key ... new"], None),
        (&["key ... ne"], Some("key ... ne")),
    ] {
        let expected: Vec<String> = expected.iter().map(|&line| line.to_owned()).collect();
        assert_eq!(missing(output, &expected), absent, "{expected:?}");
    }
}

#[test]
fn links_and_anchors_are_found() {
    assert_eq!(anchors("# A title\n\n## A prompt's mode, changed\ntext\n"), ["a-title", "a-prompts-mode-changed"]);
    let page = "[a](x.md#y) [b](#z)\n[c](../w.md), [d](https://example.org/#e)";
    assert_eq!(links(page), [("x.md", "y"), ("", "z"), ("../w.md", "")]);
}
