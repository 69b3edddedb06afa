//! Asks a person before something is done that is rarely meant.

use std::io::{self, BufRead, IsTerminal as _, Write};

use prompt_ledger_backends::StartError;

/// Asks on the terminal; `warning` is a sentence that says what will be done. An error where the answer is not `yes`, and
/// where nobody is there to answer.
pub(super) fn ask(warning: &str) -> Result<(), StartError> {
    if !io::stdin().is_terminal() {
        return Err(format!("{warning} Add --yes where that is meant").into());
    }
    match agrees(warning, io::stdin().lock(), io::stderr())? {
        true => Ok(()),
        false => Err("nothing was changed".into()),
    }
}

/// Whether the answer is exactly `yes`, white space around it aside.
fn agrees(warning: &str, mut answers: impl BufRead, mut questions: impl Write) -> io::Result<bool> {
    write!(questions, "{warning}\nType yes to go on: ")?;
    questions.flush()?;
    let mut answer = String::new();
    answers.read_line(&mut answer)?;
    Ok(answer.trim() == "yes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_yes_goes_on() {
        let warning = "This drops everything.";
        for (answer, goes_on) in
            [("yes\n", true), (" yes \r\n", true), ("y\n", false), ("", false), ("no yes\n", false)]
        {
            let mut asked = Vec::new();
            assert_eq!(agrees(warning, answer.as_bytes(), &mut asked).unwrap(), goes_on, "{answer:?}");
            assert!(String::from_utf8(asked).unwrap().starts_with(warning));
        }
    }
}
