//! Statements for many jobs at once, and the result of a text of such statements.
//!
//! Each statement reads a table `job` with one row per job, which becomes a VALUES clause of the required size.

use prompt_ledger_domain::Timestamp;
use sqlx::sqlite::SqliteArguments;
use sqlx::{Arguments, Encode, Sqlite, Type};

pub(super) struct Statement<J: 'static> {
    /// The columns of `job` that it reads.
    pub(super) columns: &'static [&'static str],
    /// The SQL after the definition of `job`.
    pub(super) body: &'static str,
    /// Pushes the values of those columns for one job, in their order.
    pub(super) values: fn(&J, Timestamp, &mut HotValues) -> sqlx::Result<()>,
}

impl<J> Statement<J> {
    /// The SQL for this many jobs.
    pub(super) fn text(&self, jobs: usize) -> String {
        let row = format!("({})", vec!["?"; self.columns.len()].join(", "));
        format!("WITH job ({}) AS (VALUES {}) {}", self.columns.join(", "), vec![row; jobs].join(", "), self.body)
    }
}

/// The bind values of a text, in its order.
#[derive(Default)]
pub(super) struct HotValues(pub(super) SqliteArguments);

impl HotValues {
    pub(super) fn push<'q>(&mut self, value: impl Encode<'q, Sqlite> + Type<Sqlite>) -> sqlx::Result<()> {
        self.0.add(value).map_err(sqlx::Error::Encode)
    }

    /// Pushes the values of all jobs, statement by statement, padded with NULL to `room` jobs.
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

/// Declares a statement: its body, and the columns of `job` with their values for a job at a time.
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

/// What a text wrote.
#[derive(Debug)]
pub(super) struct HotWritten {
    pub(super) at: Timestamp,
    /// Whether every recording was new.
    pub(super) all_new: bool,
    /// Ids of the executions whose end was written, with the sequences of their events.
    pub(super) ends: Vec<(String, i64)>,
}

impl HotWritten {
    /// The sequence of the event of this execution's end; nothing where none was written.
    pub(super) fn end(&self, id: &str) -> Option<i64> {
        self.ends.iter().find(|end| end.0 == id).map(|end| end.1)
    }
}
