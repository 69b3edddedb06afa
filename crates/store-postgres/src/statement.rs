//! Binds values to parameters: one each, or one array per column of a batch.

use std::borrow::Cow;
use std::time::Duration;

use prompt_ledger_store::parameters::{numbered, with_rows};

pub(super) use super::row::without_nul as clean;

/// Upper bound of durations in microseconds, about 126 years: keeps timestamps within Postgres's range, and durations
/// exact as a double.
const LONGEST: u128 = 4_000_000_000_000_000;

/// Declares the columns of a batch: each column's name, the type of its array's elements, and its value in one item. A
/// statement selects the columns it uses with `unnest(:rows) AS n (...)`.
macro_rules! rows {
    ($(#[$doc:meta])* $name:ident($item:ident: $of:ty) { $($column:ident: $kind:ident = $value:expr,)+ }) => {
        $(#[$doc])*
        pub(super) struct $name;

        impl $name {
            pub(super) const COLUMNS: &'static [$crate::statement::BatchColumn] =
                &[$((stringify!($column), stringify!($kind))),+];

            /// Binds one array per column.
            pub(super) fn bind(query: $crate::statement::PgQuery, items: &[$of]) -> $crate::statement::PgQuery {
                use sqlx::postgres::PgBindIterExt as _;
                query$(.bind(items.iter().map(|$item| $value).bind_iter()))+
            }
        }
    };
}
pub(super) use rows;

/// Declares the parameters of a statement, in order, each with its value computed from the arguments of `query`.
macro_rules! parameters {
    ($(#[$doc:meta])* $name:ident($($given:ident: $of:ty),* $(,)?) {
        $($parameter:ident = $value:expr,)+
    }) => {
        $(#[$doc])*
        struct $name;

        impl $name {
            const NAMES: &'static [&'static str] = &[$(stringify!($parameter)),+];

            /// Binds the values to `sql`, which was numbered by [`Self::NAMES`].
            fn query(sql: &'static str, $($given: $of),*) -> $crate::statement::PgQuery {
                sqlx::query(sql)$(.bind($value))+
            }
        }
    };
}
pub(super) use parameters;

pub(super) type PgQuery = sqlx::query::Query<'static, sqlx::Postgres, sqlx::postgres::PgArguments>;

/// Name and element type of a batch's column.
pub(super) type BatchColumn = (&'static str, &'static str);

/// Composes a statement over the rows of a batch and the parameters `more`, which are bound after the columns.
pub(super) fn statement(sql: &str, columns: &[BatchColumn], more: &[&str]) -> String {
    let array = |name: &str| {
        let (name, kind) = columns.iter().find(|column| column.0 == name)?;
        Some(format!(":{name}::{kind}[]"))
    };
    let names: Vec<_> = columns.iter().map(|column| column.0).chain(more.iter().copied()).collect();
    numbered(&with_rows(sql, array), &names)
}

/// As [`clean`], for an optional text.
pub(super) fn maybe_clean(text: Option<&str>) -> Option<Cow<'_, str>> {
    text.map(clean)
}

/// A duration in microseconds, at most [`LONGEST`].
pub(super) fn micros(length: Duration) -> i64 {
    i64::try_from(length.as_micros().min(LONGEST)).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_stored_is_replaced() {
        assert_eq!(clean("a\0b\0"), "a\u{fffd}b\u{fffd}");
        assert!(matches!(clean("abc"), Cow::Borrowed("abc")));
        assert_eq!((maybe_clean(None), maybe_clean(Some("\0")).as_deref()), (None, Some("\u{fffd}")));
    }

    #[test]
    fn times_are_bounded() {
        assert_eq!(micros(Duration::from_millis(2)), 2_000);
        assert_eq!(micros(Duration::MAX), 4_000_000_000_000_000);
    }
}
