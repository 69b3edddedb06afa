//! The models that a new ledger knows, from a data file that every backend's first migration reads.
//!
//! A released data file never changes, as a released migration does not: new models and prices come by `PutModel`, or
//! by a later migration with a file of its own.

use std::fmt::Write;

use prompt_ledger_domain::{Error, Result};
use serde::Deserialize;
use uuid::Uuid;

const MODELS: &str = include_str!("../../../migrations/models.json");

/// The id of the first price; the others count on from it. The same in every ledger, so that prices can be compared.
const FIRST_PRICE: u128 = 0x01900000_0000_7000_8000_000000010000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Seed {
    provider: String,
    model_name: String,
    max_tokens: Option<i32>,
    supports_streaming: bool,
    /// Nano-dollars per million tokens, as the other two.
    input: i64,
    cached_input: Option<i64>,
    output: i64,
    /// A day, from its midnight in UTC.
    valid_from: String,
}

/// What the databases spell their own way.
pub struct Dialect {
    /// This moment.
    pub now: &'static str,
    /// The midnight of a quoted day, in UTC.
    pub midnight: fn(&str) -> String,
    /// A truth.
    pub flag: fn(bool) -> &'static str,
}

/// The statements that register them.
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
