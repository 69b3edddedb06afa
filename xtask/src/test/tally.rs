//! Sums cargo's "test result" lines.

use std::fmt;

#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct TestTally {
    pub(crate) passed: u32,
    pub(crate) failed: u32,
    pub(crate) ignored: u32,
}

impl TestTally {
    /// Counts one line of cargo's output; other lines than these are skipped: `test result: ok. 3 passed; 0 failed; 1
    /// ignored; 0 measured; 0 filtered out; finished in 0.02s`.
    pub(crate) fn count(&mut self, line: &str) {
        let Some(result) = line.strip_prefix("test result: ") else { return };
        let Some((_, counts)) = result.split_once(". ") else { return };
        for count in counts.split("; ") {
            let Some((number, word)) = count.split_once(' ') else { continue };
            let Ok(number) = number.parse::<u32>() else { continue };
            match word {
                "passed" => self.passed += number,
                "failed" => self.failed += number,
                "ignored" => self.ignored += number,
                _ => {}
            }
        }
    }

    /// Must be called when the command has ended. A failure that no test reported (code that does not compile, a test
    /// binary that crashed) counts as one.
    pub(crate) fn end(&mut self, success: bool) {
        if !success && self.failed == 0 {
            self.failed = 1;
        }
    }

    pub(crate) fn add(&mut self, other: &Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.ignored += other.ignored;
    }
}

impl fmt::Display for TestTally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed", self.passed, self.failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUTPUT: &str = "
running 4 tests
test a ... ok
test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.02s
test result: FAILED. 10 passed; 2 failed; 0 ignored; 0 measured; 7 filtered out; finished in 1.50s
a line that says test result: ok. 5 passed; 0 failed
test result: nonsense
";

    fn tally(output: &str) -> TestTally {
        let mut tally = TestTally::default();
        output.lines().for_each(|line| tally.count(line));
        tally
    }

    #[test]
    fn result_lines_are_summed_and_others_are_passed_over() {
        let tally = tally(OUTPUT);
        assert_eq!(tally, TestTally { passed: 13, failed: 2, ignored: 1 });
        assert_eq!(tally.to_string(), "13 passed, 2 failed");
    }

    #[test]
    fn a_command_that_failed_is_at_least_one_failure() {
        for (output, success, failed) in [("", true, 0), ("", false, 1), (OUTPUT, false, 2)] {
            let mut tally = tally(output);
            tally.end(success);
            assert_eq!(tally.failed, failed, "after {output:?}");
        }
    }

    #[test]
    fn two_runs_add_up() {
        let mut sum = tally(OUTPUT);
        sum.add(&tally(OUTPUT));
        assert_eq!(sum, TestTally { passed: 26, failed: 4, ignored: 2 });
    }
}
