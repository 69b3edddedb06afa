//! Notes on standard error while something takes long.

use std::time::{Duration, Instant};

use crate::output::Output;
use crate::style::Tone;

/// Between two notes, and before the first.
const EVERY: Duration = Duration::from_secs(3);

/// What is quick says nothing.
pub(crate) struct ProgressNotes {
    last: Instant,
}

impl ProgressNotes {
    pub(crate) fn begin() -> Self {
        Self { last: Instant::now() }
    }

    /// Notes how far it is, where the last note is long enough ago.
    pub(crate) fn tell(&mut self, output: &mut Output<'_>, how_far: impl FnOnce() -> String) {
        self.tell_at(Instant::now(), output, how_far);
    }

    fn tell_at(&mut self, now: Instant, output: &mut Output<'_>, how_far: impl FnOnce() -> String) {
        if now.saturating_duration_since(self.last) >= EVERY {
            self.last = now;
            output.note_as(Tone::Dim, &how_far());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::AnswerFormat;

    #[test]
    fn it_is_told_now_and_then_and_not_of_what_is_quick() {
        let (mut answers, mut notes) = (Vec::new(), Vec::new());
        let mut output = Output::of(&mut answers, &mut notes, AnswerFormat::Text);
        let mut progress = ProgressNotes::begin();
        let began = progress.last;
        for seconds in [0, 1, 3, 4, 5, 6] {
            progress.tell_at(began + Duration::from_secs(seconds), &mut output, || format!("{seconds} done"));
        }
        drop(output);
        assert_eq!((String::from_utf8(notes).unwrap().as_str(), answers.len()), ("3 done\n6 done\n", 0));
    }
}
