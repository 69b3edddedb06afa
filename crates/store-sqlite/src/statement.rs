//! Statements by name of their parameters, and how they run.

use std::ops::ControlFlow;

use prompt_ledger_domain::Result;
use prompt_ledger_store::parameters::numbered;
use rusqlite::{Connection, Row, Statement, ToSql};

use super::error;

/// One or more statements that run one after the other, with the same parameters.
#[derive(Debug)]
pub(super) struct Script(Vec<String>);

impl Script {
    /// From a text with the parameters `:name`; semicolons stand between statements only.
    pub(super) fn new(sql: &str, names: &[&str]) -> Self {
        // `$1` would be a name in SQLite.
        let sql = numbered(sql, names).replace('$', "?");
        Self(sql.split(';').map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned).collect())
    }

    /// The statements, with their parameters as `?1`, `?2`, ...
    #[cfg(test)]
    pub(super) fn texts(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// Runs the statements, and calls `visit` with each row that one of them returns, until it breaks.
    pub(super) fn each(
        &self,
        connection: &Connection,
        parameters: impl Parameters,
        mut visit: impl FnMut(&Row<'_>) -> Result<ControlFlow<()>>,
    ) -> Result<()> {
        for sql in &self.0 {
            let mut statement = connection.prepare_cached(sql).map_err(error::store)?;
            parameters.bind(&mut statement).map_err(error::store)?;
            let mut rows = statement.raw_query();
            while let Some(row) = rows.next().map_err(error::store)? {
                if visit(row)?.is_break() {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Runs the statements; what `read` makes of each row that one of them returns.
    pub(super) fn rows<T>(
        &self,
        connection: &Connection,
        parameters: impl Parameters,
        mut read: impl FnMut(&Row<'_>) -> Result<T>,
    ) -> Result<Vec<T>> {
        let mut all = Vec::new();
        self.each(connection, parameters, |row| {
            all.push(read(row)?);
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(all)
    }

    /// As [`Script::rows`], of the last row; nothing where no statement returns one.
    pub(super) fn row<T>(
        &self,
        connection: &Connection,
        parameters: impl Parameters,
        read: impl FnMut(&Row<'_>) -> Result<T>,
    ) -> Result<Option<T>> {
        Ok(self.rows(connection, parameters, read)?.pop())
    }

    /// Runs statements that return no rows. Returns the number of rows that the last one wrote.
    pub(super) fn execute(&self, connection: &Connection, parameters: impl Parameters) -> Result<usize> {
        self.try_execute(connection, parameters).map_err(error::store)
    }

    /// As [`Script::execute`], with the driver's error.
    pub(super) fn try_execute(&self, connection: &Connection, parameters: impl Parameters) -> rusqlite::Result<usize> {
        let mut written = 0;
        for sql in &self.0 {
            let mut statement = connection.prepare_cached(sql)?;
            parameters.bind(&mut statement)?;
            written = statement.raw_execute()?;
        }
        Ok(written)
    }
}

/// The values of a script's parameters.
pub(super) trait Parameters: Copy {
    /// Binds those that the statement has.
    fn bind(&self, statement: &mut Statement<'_>) -> rusqlite::Result<()>;
}

/// Values in the order of their numbers, for scripts with few.
impl<const N: usize> Parameters for [&dyn ToSql; N] {
    fn bind(&self, statement: &mut Statement<'_>) -> rusqlite::Result<()> {
        let used = statement.parameter_count();
        self.iter().zip(1..=used).try_for_each(|(value, number)| statement.raw_bind_parameter(number, *value))
    }
}

/// What [`parameters!`] makes.
#[derive(Clone, Copy)]
pub(super) struct Values<F>(pub(super) F);

impl<F: Fn(&mut Statement<'_>) -> rusqlite::Result<()> + Copy> Parameters for Values<F> {
    fn bind(&self, statement: &mut Statement<'_>) -> rusqlite::Result<()> {
        (self.0)(statement)
    }
}

/// Declares the parameters of a script, in order, each with its value computed from the arguments of `values`.
macro_rules! parameters {
    ($(#[$doc:meta])* $name:ident($($given:ident: $of:ty),* $(,)?) {
        $($parameter:ident = $value:expr,)+
    }) => {
        $(#[$doc])*
        struct $name;

        impl $name {
            const NAMES: &'static [&'static str] = &[$(stringify!($parameter)),+];

            fn values($($given: $of),*) -> impl $crate::statement::Parameters {
                $crate::statement::Values(move |statement: &mut rusqlite::Statement<'_>| {
                    let (used, mut number) = (statement.parameter_count(), 0);
                    $(
                        number += 1;
                        if number <= used {
                            statement.raw_bind_parameter(number, $value)?;
                        }
                    )+
                    Ok(())
                })
            }
        }
    };
}
pub(super) use parameters;
