//! Other names for the fields of an error, for a front door that has its own.

use super::Error;

impl Error {
    /// Gives the fields of the violations other names: each pair is a path as it is now and as it is to be; what is below
    /// it follows.
    #[must_use]
    pub fn renamed(mut self, names: &[(&str, &str)]) -> Self {
        for violation in &mut self.0.violations {
            let below =
                |from: &str| violation.field.strip_prefix(from).filter(|rest| is_below(rest)).map(str::to_owned);
            let found = names.iter().find_map(|(from, to)| Some(format!("{to}{}", below(from)?)));
            if let Some(renamed) = found {
                // Where there is no path before it, its dot goes too.
                violation.field = renamed.trim_start_matches('.').to_owned();
                self.0.message.clear();
            }
        }
        if self.0.message.is_empty() {
            self.0.message = self.0.named();
        }
        self
    }
}

/// Whether the rest of a path begins below, or is empty.
fn is_below(rest: &str) -> bool {
    rest.is_empty() || rest.starts_with(['.', '['])
}
