//! Colours of what people read.

use std::io::IsTerminal;

use anstyle::{AnsiColor, Style};

/// What a piece of text is; its colour follows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Tone {
    #[default]
    Plain,
    /// A heading, a name.
    Strong,
    /// What matters less: times, ids.
    Dim,
    /// Succeeded, added.
    Good,
    /// Failed, removed.
    Bad,
    /// Worth a look: waiting, truncated.
    Warning,
    /// Selected: a label, a place in a text.
    Accent,
    /// The words of a line that were added.
    Added,
    /// The words of a line that were removed.
    Removed,
}

impl Tone {
    fn style(self) -> Style {
        let colour = |colour: AnsiColor| Style::new().fg_color(Some(colour.into()));
        match self {
            Self::Plain => Style::new(),
            Self::Strong => Style::new().bold(),
            Self::Dim => Style::new().dimmed(),
            Self::Good => colour(AnsiColor::Green),
            Self::Bad => colour(AnsiColor::Red),
            Self::Warning => colour(AnsiColor::Yellow),
            Self::Accent => colour(AnsiColor::Cyan),
            Self::Added => colour(AnsiColor::Green).invert(),
            Self::Removed => colour(AnsiColor::Red).invert(),
        }
    }

    /// The text in its colour; as it is without `colours`. The text must not hold control characters of its own.
    pub(crate) fn paint(self, text: &str, colours: bool) -> String {
        if !colours || self == Self::Plain || text.is_empty() {
            return text.to_owned();
        }
        let style = self.style();
        format!("{style}{text}{style:#}")
    }
}

/// Whether this stream shows colours: it is a terminal, and neither `NO_COLOR` (<https://no-color.org>) nor `TERM=dumb` says otherwise.
pub(crate) fn has_colours(stream: &impl IsTerminal) -> bool {
    let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    stream.is_terminal() && !is_set("NO_COLOR") && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_colour_begins_and_ends_and_is_left_out_where_none_is_wanted() {
        assert_eq!(Tone::Bad.paint("no", true), "\u{1b}[31mno\u{1b}[0m");
        assert_eq!(Tone::Bad.paint("no", false), "no");
        assert_eq!(Tone::Plain.paint("no", true), "no");
        assert_eq!(Tone::Bad.paint("", true), "");
    }
}
