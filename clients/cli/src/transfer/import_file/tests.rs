use super::*;
use serde_json::json;

pub(in super::super) fn lines(text: &str) -> ImportLines<&[u8]> {
    ImportLines::of(text.as_bytes(), "x.jsonl".into())
}

pub(in super::super) fn line(name: &str, versions: usize, more_follows: bool) -> String {
    let version = json!({"version_number": 1, "status": "active", "template_source": "Hi"});
    json!({"name": name, "mode": "full", "versions": vec![version; versions], "more_follows": more_follows}).to_string()
        + "\n"
}

fn counts(prompts: u64, versions: u64) -> ExportCounts {
    ExportCounts { prompts, versions, labels: 0 }
}

fn counted(prompts: u64, versions: u64) -> String {
    format!("{}\n", counts(prompts, versions).line())
}

fn refusal(text: &str) -> String {
    check(lines(text)).unwrap_err().to_string()
}

#[test]
fn a_whole_file_is_counted() {
    let text = line("a", 2, false) + "\n" + &line("b", 1, true) + &line("b", 3, false) + &line("c", 1, false);
    assert_eq!(check(lines(&(text.clone() + counted(3, 7).trim_end()))).unwrap(), counts(3, 7));
    assert_eq!(check(lines(&counted(0, 0))).unwrap(), counts(0, 0));
    // Two exports, one behind the other.
    let two = text + &counted(3, 7) + &line("d", 1, false) + &counted(1, 1);
    assert_eq!(check(lines(&two)).unwrap(), counts(4, 8));
}

#[test]
fn what_is_cut_anywhere_is_refused() {
    let text = line("a", 2, false) + &line("b", 1, true) + &line("b", 3, false) + &line("c", 1, false) + &counted(3, 7);
    for length in 0..text.len() - 1 {
        assert!(check(lines(&text[..length])).is_err(), "{}", &text[..length]);
    }
    let at_the_end_of_a_line = refusal(&line("a", 2, false));
    assert!(at_the_end_of_a_line.starts_with("x.jsonl:2: should be the counts"), "{at_the_end_of_a_line}");
    assert!(at_the_end_of_a_line.contains("the file is cut") && at_the_end_of_a_line.contains("ledgerctl export NAME"));
    assert!(refusal("").starts_with("x.jsonl:1: should be the counts"));
    let kept: Vec<&str> = text.lines().collect();
    for lost in 0..kept.len() {
        let text: String =
            kept.iter().enumerate().filter(|(at, _)| *at != lost).map(|(_, line)| format!("{line}\n")).collect();
        assert!(check(lines(&text)).is_err(), "{text}");
    }
    let said = refusal(&(line("a", 2, false) + &counted(2, 3)));
    assert!(
        said.starts_with("x.jsonl:2: counts 2 prompts, 3 versions, 0 labels, and above it stand 1 prompt, 2 "),
        "{said}"
    );
    let more = line("a", 2, false) + &line("b", 1, false) + &counted(1, 2);
    assert!(refusal(&more).contains("lost or added"));
    assert!(refusal(&(counted(0, 0) + &line("a", 2, false))).contains("should be the counts"));
}

#[test]
fn what_is_damaged_or_something_else_is_told_with_its_line() {
    let two = line("a", 1, false) + &line("b", 1, false);
    let unknown = line("a", 1, false).replace("\"mode\"", "\"moode\"");
    let twice = line("a", 1, false).replace("\"mode\"", "\"mode\":\"tracking\",\"mode\"");
    for (text, said) in [
        (&two[..two.len() - 10], "x.jsonl:2: is no JSON, at its column"),
        (&(line("a", 1, true)), "x.jsonl:2: should be more of `a`"),
        (&(line("a", 1, true) + &line("b", 1, false)), "x.jsonl:2: should be more of `a`"),
        (&(two.clone() + &line("a", 1, false)), "x.jsonl:3: is `a`, as line 1 is"),
        (&unknown, "x.jsonl:1: is no ExportedPrompt: "),
        (&twice, "\"mode\""),
        ("{}\n", "names no prompt"),
        ("[1]\n", "is no ExportedPrompt"),
        ("{\"exported\": 1}\n", "x.jsonl:1: is no line of counts"),
        ("name,mode\n", "is no JSON"),
        ("\u{0}\u{1}\n", "is no JSON"),
    ] {
        let told = refusal(text);
        assert!(told.contains(said), "{text}: {told}");
    }
}

#[test]
fn a_line_without_an_end_is_refused() {
    let mut lines = ImportLines::of(BufReader::new(io::repeat(b' ')), "x".into());
    assert!(lines.next().unwrap_err().to_string().contains("32 MiB"));
}

#[test]
fn what_comes_by_a_pipe_is_read_twice_too() {
    let text = line("a", 1, false) + &counted(1, 1);
    let mut file = ImportFile::keep(text.as_bytes(), "a pipe".into()).unwrap();
    assert_eq!(file.check().unwrap().prompts, 1);
    assert_eq!(file.lines().unwrap().next().unwrap().unwrap().prompt.name, "a");
    let folder = tempfile::tempdir().unwrap();
    let told = ImportFile::open(folder.path()).err().unwrap().to_string();
    assert!(told.starts_with(&format!("{}: cannot be read", folder.path().display())), "{told}");
}
