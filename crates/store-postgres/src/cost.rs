//! Computes costs in SQL, as `Usage::cost` does, for executions that end without a holder.

/// The token counts of an execution `e`, in the order that [`with_cost`] takes.
pub(super) const OF_EXECUTION: [&str; 5] = [
    "e.prompt_tokens",
    "e.cached_prompt_tokens",
    "e.cache_write_5m_tokens",
    "e.cache_write_1h_tokens",
    "e.response_tokens",
];

/// Replaces each `{cost}` by an expression for the cost of these tokens at the price with this id, in nano-US-dollars,
/// divided once, rounded half up. NULL where a token count or the price is NULL, or the sum does not fit into 64 bits.
/// Uses `div`, which truncates exactly; `/` would round long quotients.
pub(super) fn with_cost(sql: &str, price_id: &str, tokens: [&str; 5]) -> String {
    let cost = include_str!("sql/cost.sql").replace("{price_id}", price_id);
    let names = ["{prompt}", "{cached}", "{written_5m}", "{written_1h}", "{response}"];
    sql.replace("{cost}", &names.iter().zip(tokens).fold(cost, |cost, (name, count)| cost.replace(name, count)))
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use prompt_ledger_domain::Timestamp;
    use prompt_ledger_domain::ids::PriceId;
    use prompt_ledger_domain::model::{Price, Usage};
    use prompt_ledger_store::parameters::numbered;
    use sqlx::postgres::PgConnectOptions;
    use sqlx::{ConnectOptions, Row};
    use uuid::Uuid;

    use super::with_cost;
    use crate::statement::parameters;

    static RECKONED: LazyLock<String> = LazyLock::new(|| {
        let sql = "WITH model_prices (id, input, cached_input, cache_write_5m, cache_write_1h, output) AS (
                VALUES (1, :input::int8, :cached_input::int8, :cache_write_5m::int8, :cache_write_1h::int8, :output::int8))
            SELECT {cost}
            FROM (VALUES (1, :prompt::int4, :cached::int4, :written_5m::int4, :written_1h::int4, :response::int4))
                AS u (price_id, prompt, cached, written_5m, written_1h, response)";
        let sql = with_cost(sql, "u.price_id", ["u.prompt", "u.cached", "u.written_5m", "u.written_1h", "u.response"]);
        numbered(&sql, CostParameters::NAMES)
    });

    parameters! {
        CostParameters(usage: &Usage, price: &Price) {
            prompt = usage.prompt_tokens,
            cached = usage.cached_prompt_tokens,
            written_5m = usage.cache_write_5m_tokens,
            written_1h = usage.cache_write_1h_tokens,
            response = usage.response_tokens,
            input = price.input,
            cached_input = price.cached_input,
            cache_write_5m = price.cache_write_5m,
            cache_write_1h = price.cache_write_1h,
            output = price.output,
        }
    }

    /// All that `of` holds, in every combination of five.
    fn fives<T: Copy>(of: [T; 5]) -> impl Iterator<Item = [T; 5]> {
        (0..5_usize.pow(5)).map(move |i| [1, 5, 25, 125, 625].map(|place| of[i / place % 5]))
    }

    #[tokio::test]
    async fn the_database_reckons_as_the_domain_does() {
        let url =
            std::env::var("TEST_POSTGRES_URL").expect("TEST_POSTGRES_URL names no server: run `cargo xtask test`");
        let mut connection = url.parse::<PgConnectOptions>().unwrap().connect().await.unwrap();
        let prices = [
            (0, [None; 3], 0),
            (400_000, [None; 3], 99_999),
            (400_000, [Some(0), None, Some(1)], 100_000),
            (499_999, [Some(1), Some(7), Some(499_998)], 1),
            (7_777_777_777_777_777, [Some(1_234_567), Some(9_999_999), None], 3_333_333_333),
            (4_294_967_296_000_123, [None, Some(4_294_967_296_000_123), None], 1),
            (i64::MAX, [Some(i64::MAX); 3], i64::MAX),
        ];
        for (at, counts) in fives([None, Some(0), Some(3), Some(999_999), Some(i32::MAX)]).enumerate() {
            let [prompt_tokens, cached_prompt_tokens, cache_write_5m_tokens, cache_write_1h_tokens, response_tokens] =
                counts;
            let usage = Usage {
                prompt_tokens,
                cached_prompt_tokens,
                cache_write_5m_tokens,
                cache_write_1h_tokens,
                response_tokens,
            };
            // There are seven prices, so that each meets every count.
            let (input, [cached_input, cache_write_5m, cache_write_1h], output) = prices[at % prices.len()];
            let (id, valid_from) = (PriceId(Uuid::nil()), Timestamp(0));
            let price = Price { id, input, cached_input, cache_write_5m, cache_write_1h, output, valid_from };
            let query = CostParameters::query(&RECKONED, &usage, &price);
            let answer: Option<i64> = query.fetch_one(&mut connection).await.unwrap().get(0);
            assert_eq!(answer, usage.cost(&price), "{usage:?} at {price:?}");
        }
    }
}
