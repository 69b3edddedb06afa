//! A statement for many jobs at once, and what a text of such statements has written.
//!
//! Each statement is written for a table `job`, one row per job; here that table becomes the values of so many jobs.

use prompt_ledger_domain::Timestamp;
use sqlx::sqlite::SqliteArguments;
use sqlx::{Arguments, Encode, Sqlite, Type};

/// A statement over a table `job`.
pub(super) struct Statement<J: 'static> {
    /// The columns that it reads of `job`.
    pub(super) columns: &'static [&'static str],
    /// What follows the table.
    pub(super) body: &'static str,
    /// Those columns of one job, in this order.
    pub(super) values: fn(&J, Timestamp, &mut HotValues) -> sqlx::Result<()>,
}

impl<J> Statement<J> {
    /// With room for so many jobs.
    pub(super) fn text(&self, jobs: usize) -> String {
        let row = format!("({})", vec!["?"; self.columns.len()].join(", "));
        format!("WITH job ({}) AS (VALUES {}) {}", self.columns.join(", "), vec![row; jobs].join(", "), self.body)
    }
}

/// The values of a text, in its order.
#[derive(Default)]
pub(super) struct HotValues(pub(super) SqliteArguments);

impl HotValues {
    pub(super) fn push<'q>(&mut self, value: impl Encode<'q, Sqlite> + Type<Sqlite>) -> sqlx::Result<()> {
        self.0.add(value).map_err(sqlx::Error::Encode)
    }

    /// The jobs of a text for `room` of them, statement by statement.
    pub(super) fn of<J>(
        &mut self,
        statements: &[Statement<J>],
        jobs: &[&J],
        room: usize,
        at: Timestamp,
    ) -> sqlx::Result<()> {
        for statement in statements {
            for job in jobs {
                (statement.values)(job, at, self)?;
            }
            for _ in 0..(room - jobs.len()) * statement.columns.len() {
                self.push(None::<i64>)?;
            }
        }
        Ok(())
    }
}

/// A statement: the file of its body, and the columns that it reads of `job`, each with its value for one job at a moment.
macro_rules! statement {
    ($body:expr, |$job:pat_param, $at:ident| { $($column:ident = $value:expr,)+ }) => {
        $crate::statement::Statement {
            columns: &[$(stringify!($column)),+],
            body: $body,
            values: |$job, $at, values| {
                $(values.push($value)?;)+
                Ok(())
            },
        }
    };
}
pub(super) use statement;

/// What a text has written.
#[derive(Debug)]
pub(super) struct HotWritten {
    pub(super) at: Timestamp,
    /// Every beginning is new.
    pub(super) all_new: bool,
    /// Whose end was written, and the sequence of its event.
    pub(super) ends: Vec<(String, i64)>,
}

impl HotWritten {
    /// The sequence of the event of this execution's end; nothing where none was written.
    pub(super) fn end(&self, id: &str) -> Option<i64> {
        self.ends.iter().find(|end| end.0 == id).map(|end| end.1)
    }
}
