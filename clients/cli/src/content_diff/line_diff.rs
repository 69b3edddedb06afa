//! Two texts compared line by line, with the changed words within lines.

use std::ops::Range;
use std::time::{Duration, Instant};

use similar::{Algorithm, DiffTag, capture_diff_slices_deadline};

/// How long a comparison looks for the shortest difference; then it takes what it has, which is right but longer.
const SEARCH_AT_MOST: Duration = Duration::from_millis(500);
/// Lines that have less than this share of their words in common are told as other lines, without marks.
const LEAST_COMMON: f64 = 0.4;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LineKind {
    Same,
    Removed,
    Added,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct DiffLine {
    pub(super) kind: LineKind,
    /// The line without its end, in pieces; true marks what is changed within the line.
    pub(super) pieces: Vec<(bool, String)>,
    /// Whether the line ends with a line feed; only the last one of a text may not.
    pub(super) ends: bool,
}

/// All lines of both texts, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LineDiff {
    pub(super) lines: Vec<DiffLine>,
}

/// Changed lines with some unchanged ones around.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct DiffHunk {
    /// Where it is in [`LineDiff::lines`].
    pub(super) lines: Range<usize>,
    /// The number, from 1, of its first line in the text before, or where that would stand; and how many it has there.
    pub(super) before: (usize, usize),
    /// The same in the text after.
    pub(super) after: (usize, usize),
}

impl LineDiff {
    pub(super) fn between(before: &str, after: &str) -> Self {
        let until = Instant::now().checked_add(SEARCH_AT_MOST);
        let (old, new): (Vec<&str>, Vec<&str>) =
            (before.split_inclusive('\n').collect(), after.split_inclusive('\n').collect());
        let mut lines = Vec::new();
        for step in capture_diff_slices_deadline(Algorithm::Myers, &old, &new, until) {
            let (tag, in_old, in_new) = step.as_tag_tuple();
            let (gone, come) = (old.get(in_old).unwrap_or_default(), new.get(in_new).unwrap_or_default());
            match tag {
                DiffTag::Equal => lines.extend(come.iter().map(|line| whole(LineKind::Same, line))),
                DiffTag::Delete => lines.extend(gone.iter().map(|line| whole(LineKind::Removed, line))),
                DiffTag::Insert => lines.extend(come.iter().map(|line| whole(LineKind::Added, line))),
                DiffTag::Replace => lines.extend(replaced(gone, come, until)),
            }
        }
        Self { lines }
    }

    pub(super) fn count(&self, kind: LineKind) -> usize {
        self.lines.iter().filter(|line| line.kind == kind).count()
    }

    /// The text after.
    pub(super) fn after(&self) -> String {
        let lines = self.lines.iter().filter(|line| line.kind != LineKind::Removed);
        let text = |line: &DiffLine| {
            let text: String = line.pieces.iter().map(|(_, text)| text.as_str()).collect();
            text + if line.ends { "\n" } else { "" }
        };
        lines.map(text).collect()
    }

    /// The changed lines with up to `context` unchanged ones before and behind.
    pub(super) fn hunks(&self, context: usize) -> Vec<DiffHunk> {
        let mut ranges: Vec<Range<usize>> = Vec::new();
        for (index, _) in self.lines.iter().enumerate().filter(|(_, line)| line.kind != LineKind::Same) {
            let range =
                index.saturating_sub(context)..index.saturating_add(context).saturating_add(1).min(self.lines.len());
            match ranges.last_mut() {
                Some(last) if range.start <= last.end => last.end = range.end,
                _ => ranges.push(range),
            }
        }
        let count = |range: Range<usize>, other: LineKind| {
            self.lines.get(range).unwrap_or_default().iter().filter(|line| line.kind != other).count()
        };
        let place = |range: &Range<usize>, other| (count(0..range.start, other) + 1, count(range.clone(), other));
        let hunk = |range: Range<usize>| DiffHunk {
            before: place(&range, LineKind::Added),
            after: place(&range, LineKind::Removed),
            lines: range,
        };
        ranges.into_iter().map(hunk).collect()
    }
}

/// A line without marks.
fn whole(kind: LineKind, line: &str) -> DiffLine {
    let text = line.strip_suffix('\n');
    let pieces = vec![(false, text.unwrap_or(line).to_owned())];
    DiffLine { kind, pieces, ends: text.is_some() }
}

/// Lines in place of others, with marks where they have enough in common.
fn replaced(gone: &[&str], come: &[&str], until: Option<Instant>) -> Vec<DiffLine> {
    let (old, new) = (tokens(gone), tokens(come));
    let steps = capture_diff_slices_deadline(Algorithm::Myers, &old, &new, until);
    let (mut old_marks, mut new_marks) = (vec![true; old.len()], vec![true; new.len()]);
    let mut common = 0;
    for (index, step) in steps.iter().enumerate() {
        let (tag, in_old, in_new) = step.as_tag_tuple();
        let same = old.get(in_old.clone()).unwrap_or_default();
        let is_between = index > 0 && index + 1 < steps.len();
        // Blanks between two changed words are part of one change.
        if tag != DiffTag::Equal || (is_between && same.iter().all(|token| is_blank(token) && *token != "\n")) {
            continue;
        }
        common += same.iter().filter(|token| !is_blank(token)).count();
        old_marks.get_mut(in_old).unwrap_or_default().fill(false);
        new_marks.get_mut(in_new).unwrap_or_default().fill(false);
    }
    let words = |tokens: &[&str]| tokens.iter().filter(|token| !is_blank(token)).count();
    #[allow(clippy::cast_precision_loss, reason = "a share")]
    let share = 2.0 * common as f64 / (words(&old) + words(&new)).max(1) as f64;
    if share < LEAST_COMMON {
        let gone = gone.iter().map(|line| whole(LineKind::Removed, line));
        return gone.chain(come.iter().map(|line| whole(LineKind::Added, line))).collect();
    }
    let mut lines = marked(LineKind::Removed, &old, &old_marks);
    lines.extend(marked(LineKind::Added, &new, &new_marks));
    lines
}

fn is_blank(token: &str) -> bool {
    token.chars().all(char::is_whitespace)
}

/// Words, runs of blanks, line feeds, and all other characters one by one.
fn tokens<'a>(lines: &[&'a str]) -> Vec<&'a str> {
    #[derive(PartialEq)]
    enum TokenKind {
        Word,
        Blank,
        Other,
    }
    let kind = |c: char| match c {
        '\n' => TokenKind::Other,
        c if c.is_alphanumeric() || c == '_' => TokenKind::Word,
        c if c.is_whitespace() => TokenKind::Blank,
        _ => TokenKind::Other,
    };
    let mut tokens = Vec::new();
    for mut line in lines.iter().copied() {
        while let Some(first) = line.chars().next() {
            let kind_of_first = kind(first);
            let end = match kind_of_first {
                TokenKind::Other => first.len_utf8(),
                _ => line.find(|c| kind(c) != kind_of_first).unwrap_or(line.len()),
            };
            let (token, rest) = line.split_at(end);
            tokens.push(token);
            line = rest;
        }
    }
    tokens
}

/// The lines that these tokens make.
fn marked(kind: LineKind, tokens: &[&str], marks: &[bool]) -> Vec<DiffLine> {
    let mut lines = Vec::new();
    let mut pieces: Vec<(bool, String)> = Vec::new();
    for (token, mark) in tokens.iter().zip(marks) {
        if *token == "\n" {
            lines.push(DiffLine { kind, pieces: std::mem::take(&mut pieces), ends: true });
            continue;
        }
        match pieces.last_mut() {
            Some((last, text)) if last == mark => text.push_str(token),
            _ => pieces.push((*mark, (*token).to_owned())),
        }
    }
    if !pieces.is_empty() {
        lines.push(DiffLine { kind, pieces, ends: false });
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each line as `-a[b]c`: what is in brackets is marked; `\` is a missing end.
    fn told(before: &str, after: &str) -> Vec<String> {
        let told = |line: &DiffLine| {
            let pieces = line.pieces.iter().map(|(mark, text)| if *mark { format!("[{text}]") } else { text.clone() });
            let kind = match line.kind {
                LineKind::Same => ' ',
                LineKind::Removed => '-',
                LineKind::Added => '+',
            };
            format!("{kind}{}{}", pieces.collect::<String>(), if line.ends { "" } else { "\\" })
        };
        LineDiff::between(before, after).lines.iter().map(told).collect()
    }

    #[test]
    fn changed_words_are_marked_within_their_lines() {
        for (before, after, lines) in [
            ("Hi {{name}}!\n", "Hi {{name}}?\n", &["-Hi {{name}}[!]", "+Hi {{name}}[?]"][..]),
            ("a\nbe brief\nc\n", "a\nbe very brief\nc\n", &[" a", "-be brief", "+be [very ]brief", " c"]),
            ("one two three four\n", "one 2 3 four\n", &["-one [two three] four", "+one [2 3] four"]),
            ("a b c d\ne f g h\n", "a b c x\ny f g h\n", &["-a b c [d]", "-[e] f g h", "+a b c [x]", "+[y] f g h"]),
            ("all is new", "nothing here stays", &["-all is new\\", "+nothing here stays\\"]),
            ("a", "a\n", &["-a\\", "+a[]"]),
            ("x\n", "", &["-x"]),
            ("", "x\ny", &["+x", "+y\\"]),
            ("same\n", "same\n", &[" same"]),
            ("a\r\n", "a\n", &["-a[\r]", "+a"]),
        ] {
            let lines: Vec<String> = lines.iter().map(|line| line.replace("[]", "")).collect();
            assert_eq!(told(before, after), lines, "{before:?} {after:?}");
        }
    }

    #[test]
    fn what_both_sides_say_is_what_the_texts_were() {
        let texts = ["", "a", "a\n", "a\n\nb c", "x\n\n\na b\n", "é {{x}}\r\n y", "a b\nc d\n"];
        let before_of = |diff: &LineDiff| {
            let mut other = diff.clone();
            other.lines.retain(|line| line.kind != LineKind::Added);
            other.lines.iter_mut().for_each(|line| line.kind = LineKind::Same);
            other.after()
        };
        for before in texts {
            for after in texts {
                let diff = LineDiff::between(before, after);
                assert_eq!(before_of(&diff), before, "{before:?} {after:?}");
                assert_eq!(diff.after(), after, "{before:?} {after:?}");
            }
        }
    }

    #[test]
    fn hunks_keep_apart_what_is_far_apart_and_know_their_lines() {
        let before: String = (1..=20).map(|line| format!("line {line}\n")).collect();
        let after = before.replace("line 3\n", "").replace("line 15\n", "new\nline 15\n");
        let diff = LineDiff::between(&before, &after);
        let places: Vec<_> = diff.hunks(2).iter().map(|hunk| (hunk.before, hunk.after)).collect();
        assert_eq!(places, [((1, 5), (1, 4)), ((13, 4), (12, 5))]);
        assert_eq!(diff.hunks(6).len(), 1);
        assert_eq!(diff.hunks(usize::MAX)[0].lines, 0..diff.lines.len());
        assert_eq!(diff.hunks(0).len(), 2);
        assert!(LineDiff::between("a\n", "a\n").hunks(3).is_empty());
    }

    #[test]
    fn long_texts_without_anything_in_common_are_compared_in_bounded_time() {
        let text = |word: &str| (0..50_000).map(|line| format!("{word}{line}\n")).collect::<String>();
        let diff = LineDiff::between(&text("a"), &text("b"));
        assert_eq!((diff.count(LineKind::Removed), diff.count(LineKind::Added)), (50_000, 50_000));
    }
}
