//! Questions to whoever sits at the terminal.

use std::io::{self, BufRead, IsTerminal as _, Read as _};
use std::sync::{Arc, Mutex};

use tokio::sync::oneshot;

use crate::failure::CommandError;
use crate::output::Output;

/// How often an answer that is none of the choices is asked for again.
const ASKED_AT_MOST: usize = 5;

/// The most bytes of an answer.
const LONGEST_ANSWER: u64 = 4_096;

/// What may be answered: a letter, and what it does.
pub(crate) type Choices<'a> = &'a [(char, &'a str)];

/// Asks one question at a time. Only on a terminal: otherwise nobody could answer.
pub(crate) struct Questions {
    /// Locked while a line is read.
    answers: Arc<Mutex<Box<dyn BufRead + Send>>>,
    is_terminal: bool,
}

impl Questions {
    /// By standard input and standard error.
    pub(crate) fn standard() -> Self {
        let answers: Box<dyn BufRead + Send> = Box::new(io::BufReader::new(io::stdin()));
        Self {
            answers: Arc::new(Mutex::new(answers)),
            is_terminal: io::stdin().is_terminal() && io::stderr().is_terminal(),
        }
    }

    /// With these lines as answers, as on a terminal; for tests.
    #[cfg(test)]
    pub(crate) fn answered(lines: &'static str) -> Self {
        Self { answers: Arc::new(Mutex::new(Box::new(lines.as_bytes()))), is_terminal: true }
    }

    /// Without a terminal; for tests.
    #[cfg(test)]
    pub(crate) fn of_nobody() -> Self {
        Self { answers: Arc::new(Mutex::new(Box::new(io::empty()))), is_terminal: false }
    }

    pub(crate) fn can_be_asked(&self) -> bool {
        self.is_terminal
    }

    /// The letter that was chosen. The end of the input, Ctrl-C, and answers that are no choice for several times choose `otherwise`.
    ///
    /// # Errors
    ///
    /// That there is no terminal.
    pub(crate) async fn ask(
        &mut self,
        question: &str,
        choices: Choices<'_>,
        otherwise: char,
        output: &mut Output<'_>,
    ) -> Result<char, CommandError> {
        if !self.is_terminal {
            return Err(CommandError::refused(format!("nobody can be asked here, as this is no terminal: {question}")));
        }
        let all: Vec<String> = choices.iter().map(|(letter, does)| format!("{letter}: {does}")).collect();
        for _ in 0..ASKED_AT_MOST {
            output.ask(&format!("{question} [{}]", all.join(", ")));
            let Some(line) = self.line().await else {
                output.note("");
                return Ok(otherwise);
            };
            let answer = line.trim().to_lowercase();
            let chosen = choices.iter().find(|(letter, does)| answer == letter.to_string() || answer == *does);
            if let Some((letter, _)) = chosen {
                return Ok(*letter);
            }
        }
        Ok(otherwise)
    }

    /// The next line; absent at the end of the input and after Ctrl-C. Read on a thread of its own, which nobody waits for.
    async fn line(&self) -> Option<String> {
        let (send, receive) = oneshot::channel();
        let answers = Arc::clone(&self.answers);
        std::thread::spawn(move || {
            let mut line = String::new();
            let read = answers.lock().map(|mut answers| answers.as_mut().take(LONGEST_ANSWER).read_line(&mut line));
            send.send(matches!(read, Ok(Ok(length)) if length > 0).then_some(line)).ok();
        });
        tokio::select! {
            line = receive => line.ok().flatten(),
            _ = tokio::signal::ctrl_c() => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::AnswerFormat;

    async fn asked(questions: &mut Questions) -> (Result<char, CommandError>, String) {
        let mut notes = Vec::new();
        let mut output = Output::of(io::sink(), &mut notes, AnswerFormat::Text);
        let choices = [('y', "yes"), ('e', "edit again"), ('n', "no")];
        let answer = questions.ask("Save it?", &choices, 'n', &mut output).await;
        drop(output);
        (answer, String::from_utf8(notes).unwrap())
    }

    #[tokio::test]
    async fn each_question_takes_one_line() {
        let mut questions = Questions::answered("y\n Edit again \nN\n");
        for expected in ['y', 'e', 'n'] {
            let (answer, notes) = asked(&mut questions).await;
            assert_eq!((answer.unwrap(), &*notes), (expected, "Save it? [y: yes, e: edit again, n: no] "));
        }
    }

    #[tokio::test]
    async fn what_is_no_choice_is_asked_again_but_not_for_ever() {
        let (answer, notes) = asked(&mut Questions::answered("what\n\ny\n")).await;
        assert_eq!((answer.unwrap(), notes.matches("Save it?").count()), ('y', 3));
        let (answer, notes) = asked(&mut Questions::answered("1\n2\n3\n4\n5\ny\n")).await;
        assert_eq!((answer.unwrap(), notes.matches("Save it?").count()), ('n', 5));
    }

    #[tokio::test]
    async fn the_end_of_the_input_is_no_consent_and_without_a_terminal_nobody_is_asked() {
        let (answer, _) = asked(&mut Questions::answered("")).await;
        assert_eq!(answer.unwrap(), 'n');
        let (answer, notes) = asked(&mut Questions::of_nobody()).await;
        assert!(answer.unwrap_err().to_string().contains("no terminal"));
        assert_eq!(notes, "");
    }
}
