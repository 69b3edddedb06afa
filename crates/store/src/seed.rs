//! Models and prices of a new database, from a data file that the first migration of every database appends.
//!
//! A released data file never changes, as a released migration does not: new models and prices are added through
//! `PutModel`, or by a later migration with a data file of its own.

use std::fmt::Write;

use prompt_ledger_domain::{Error, Result};
use serde::Deserialize;
use uuid::Uuid;

const MODELS: &str = include_str!("../../../migrations/models.json");

/// Id of the first price; the following ones count up from it. The same in every database, so that prices can be
/// compared between deployments.
const FIRST_PRICE: u128 = 0x01900000_0000_7000_8000_000000010000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Seed {
    provider: String,
    model_name: String,
    max_tokens: Option<i32>,
    supports_streaming: bool,
    /// Nano-US-dollars per million tokens, as the other two amounts.
    input: i64,
    cached_input: Option<i64>,
    output: i64,
    /// A date, `YYYY-MM-DD`: valid from midnight UTC.
    valid_from: String,
}

/// SQL expressions that differ between databases.
pub struct Dialect {
    /// Expression for the current time.
    pub now: &'static str,
    /// Expression for midnight UTC of a date, which is passed as a quoted SQL literal.
    pub midnight: fn(&str) -> String,
    /// A boolean literal.
    pub flag: fn(bool) -> &'static str,
}

/// The INSERT statements for the models and prices of the data file.
pub fn statements(dialect: &Dialect) -> Result<String> {
    let now = dialect.now;
    let seeds: Vec<Seed> = serde_json::from_str(MODELS).map_err(Error::internal)?;
    let mut sql = String::new();
    for (seed, id) in seeds.iter().zip(FIRST_PRICE..) {
        let (provider, model) = (quoted(&seed.provider), quoted(&seed.model_name));
        write!(
            sql,
            "\nINSERT INTO models (provider, model_name, max_tokens, supports_streaming, created_at, updated_at)\n\
             VALUES ({provider}, {model}, {}, {}, {now}, {now});\n\
             INSERT INTO model_prices\n\
             (id, provider, model_name, input, cached_input, output, valid_from, created_at)\n\
             VALUES ('{}', {provider}, {model}, {}, {}, {}, {}, {now});\n",
            or_null(seed.max_tokens),
            (dialect.flag)(seed.supports_streaming),
            Uuid::from_u128(id),
            seed.input,
            or_null(seed.cached_input),
            seed.output,
            (dialect.midnight)(&quoted(&seed.valid_from)),
        )
        .map_err(Error::internal)?;
    }
    Ok(sql)
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

fn or_null(number: Option<impl ToString>) -> String {
    number.map_or_else(|| "NULL".to_owned(), |number| number.to_string())
}
