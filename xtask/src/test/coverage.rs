//! Line coverage of the hand-written code, and whether it suffices.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use crate::source::{is_test_file, lines_before_tests};

/// The folders of the pure rules; every line must be reached.
const RULES: [&str; 2] = ["crates/domain/src", "crates/template/src"];
/// Folders that are not counted: development and tests.
const NOT_THE_PRODUCT: [&str; 6] =
    ["xtask/", "figures/", "clients/conformance/", "crates/services/", "crates/testkit/", "crates/store-conformance/"];
/// Least percentage of all lines.
const WANTED: usize = 90;

/// The executable lines of the product, reached or missed.
pub(crate) struct Coverage {
    files: BTreeMap<String, Lines>,
}

#[derive(Default)]
struct Lines {
    /// Number of executable lines.
    all: usize,
    /// Ascending.
    missed: Vec<usize>,
}

impl Lines {
    fn reached(&self) -> usize {
        self.all - self.missed.len()
    }
}

impl Coverage {
    /// Parses a report in the lcov format: per file `SF:<path>`, then `DA:<line>,<hits>` per line. Generated code, test
    /// code and what is not the product are skipped. `read` returns the text of a source file.
    pub(crate) fn new(lcov: &str, root: &Path, read: impl Fn(&Path) -> String) -> Self {
        let mut files = BTreeMap::new();
        for record in lcov.split("end_of_record") {
            let Some(file) = record.lines().find_map(|line| line.strip_prefix("SF:")) else { continue };
            let path = Path::new(file);
            let Some(name) = path.strip_prefix(root).ok().and_then(Path::to_str) else { continue };
            if is_test_file(name) || NOT_THE_PRODUCT.iter().any(|folder| name.starts_with(folder)) {
                continue;
            }
            let code = lines_before_tests(&read(path));
            let lines: &mut Lines = files.entry(name.to_owned()).or_default();
            for (line, hits) in record.lines().filter_map(line_and_hits) {
                if line > code {
                    continue;
                }
                lines.all += 1;
                if hits == 0 {
                    lines.missed.push(line);
                }
            }
        }
        Self { files }
    }

    /// What falls short, one sentence each; empty when coverage suffices.
    pub(crate) fn shortfalls(&self) -> Vec<String> {
        let mut shortfalls = Vec::new();
        let (reached, all) = self.sum("");
        if all == 0 || reached * 100 < all * WANTED {
            shortfalls
                .push(format!("{} of all lines are reached by tests, {WANTED} % are wanted", percent(reached, all)));
        }
        for rules in RULES {
            let (reached, all) = self.sum(rules);
            if reached < all {
                let missed = all - reached;
                shortfalls.push(format!("lines of {rules} reached by no test: {missed} (listed above), 0 are allowed"));
            }
        }
        shortfalls
    }

    /// (lines reached, all lines) of the files below a folder.
    fn sum(&self, folder: &str) -> (usize, usize) {
        let files = self.files.iter().filter(|(name, _)| name.starts_with(folder));
        files.fold((0, 0), |(reached, all), (_, lines)| (reached + lines.reached(), all + lines.all))
    }
}

/// A table of the parts of the product, then the missed lines of the rules.
impl fmt::Display for Coverage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts: Vec<&str> = self.files.keys().map(|name| part(name)).collect();
        parts.dedup();
        for name in parts {
            let (reached, all) = self.sum(name);
            writeln!(f, "{:>8}  {reached:>6} of {all:>6} lines  {name}", percent(reached, all))?;
        }
        let (reached, all) = self.sum("");
        writeln!(f, "{:>8}  {reached:>6} of {all:>6} lines  in all", percent(reached, all))?;
        for (name, lines) in self.files.iter().filter(|(name, _)| RULES.iter().any(|rules| name.starts_with(rules))) {
            for (first, last) in ranges(&lines.missed) {
                let last = if last > first { format!("-{last}") } else { String::new() };
                writeln!(f, "reached by no test: {name}:{first}{last}")?;
            }
        }
        Ok(())
    }
}

/// The part of the product that a file belongs to: the folder of its package's sources, or the file itself.
fn part(name: &str) -> &str {
    name.find("/src/").map_or(name, |at| name.split_at(at + "/src".len()).0)
}

fn line_and_hits(line: &str) -> Option<(usize, u64)> {
    let (line, hits) = line.strip_prefix("DA:")?.split_once(',')?;
    let line = line.parse().ok().filter(|line| *line > 0)?;
    Some((line, hits.parse().ok()?))
}

/// Merges adjacent lines into (first, last).
fn ranges(lines: &[usize]) -> Vec<(usize, usize)> {
    let mut ranges: Vec<(usize, usize)> = Vec::new();
    for &line in lines {
        match ranges.last_mut() {
            Some((_, last)) if line == *last + 1 => *last = line,
            _ => ranges.push((line, line)),
        }
    }
    ranges
}

/// Rounded down, so that 100 % means all.
fn percent(part: usize, all: usize) -> String {
    let per_mille = (part * 1000).checked_div(all).unwrap_or_default();
    format!("{}.{} %", per_mille / 10, per_mille % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Coverage of files given as (path below the root, hits of its lines from line 1 on).
    fn coverage(files: &[(&str, &[u64])]) -> Coverage {
        let mut lcov = String::new();
        for (name, hits) in files {
            lcov += &format!("SF:/ledger/{name}\nFN:1,f\n");
            for (line, hits) in hits.iter().enumerate() {
                lcov += &format!("DA:{},{hits}\n", line + 1);
            }
            lcov += "LF:9\nend_of_record\n";
        }
        Coverage::new(&lcov, Path::new("/ledger"), |_| "a\nb\n#[cfg(test)]\nmod tests {\n}\n".into())
    }

    #[test]
    fn lines_are_counted_per_part_without_tests_and_what_is_not_the_product() {
        let coverage = coverage(&[
            ("crates/domain/src/lib.rs", &[1, 7, 0, 0, 0]),
            ("server/src/app.rs", &[0]),
            ("server/src/grpc/run.rs", &[3]),
            ("server/tests/run.rs", &[0]),
            ("crates/testkit/src/lib.rs", &[0]),
            ("xtask/src/main.rs", &[0]),
        ]);
        assert_eq!(
            coverage.to_string(),
            [
                " 100.0 %       2 of      2 lines  crates/domain/src\n",
                "  50.0 %       1 of      2 lines  server/src\n",
                "  75.0 %       3 of      4 lines  in all\n"
            ]
            .concat()
        );
    }

    #[test]
    fn files_outside_the_workspace_are_passed_over() {
        let lcov = "SF:/elsewhere/src/lib.rs\nDA:1,0\nend_of_record\n";
        assert_eq!(Coverage::new(lcov, Path::new("/ledger"), |_| String::new()).files.len(), 0);
    }

    #[test]
    fn ninety_percent_of_all_lines_are_enough() {
        for (missed, enough) in [(0, true), (4, true), (5, false)] {
            let coverage = coverage_of(40, missed, "server/src/app.rs");
            assert_eq!(coverage.shortfalls().is_empty(), enough, "{missed} of 40 missed");
        }
    }

    #[test]
    fn one_missed_line_of_the_rules_is_too_many() {
        for rules in ["crates/domain/src", "crates/template/src"] {
            let coverage = coverage_of(40, 1, &format!("{rules}/lib.rs"));
            assert_eq!(
                coverage.shortfalls(),
                [format!("lines of {rules} reached by no test: 1 (listed above), 0 are allowed")]
            );
            assert!(coverage.to_string().ends_with(&format!("reached by no test: {rules}/lib.rs:1\n")), "{coverage}");
        }
    }

    #[test]
    fn a_report_of_nothing_is_not_enough() {
        assert_eq!(coverage(&[]).shortfalls(), ["0.0 % of all lines are reached by tests, 90 % are wanted"]);
    }

    /// A file of `all` lines, the first `missed` of them not reached.
    fn coverage_of(all: u64, missed: u64, name: &str) -> Coverage {
        let lines: String = (0..all).map(|line| format!("DA:{},{}\n", line + 1, u64::from(line >= missed))).collect();
        let text = |_: &Path| "a\n".repeat(40);
        Coverage::new(&format!("SF:/ledger/{name}\n{lines}end_of_record\n"), Path::new("/ledger"), text)
    }

    #[test]
    fn neighbouring_lines_are_joined() {
        assert_eq!(ranges(&[1, 2, 3, 7, 9, 10]), [(1, 3), (7, 7), (9, 10)]);
        assert_eq!(ranges(&[]), []);
    }

    #[test]
    fn percentages_are_rounded_down() {
        assert_eq!(percent(9999, 10000), "99.9 %");
        assert_eq!(percent(1, 1), "100.0 %");
        assert_eq!(percent(0, 0), "0.0 %");
    }
}
