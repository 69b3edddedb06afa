//! Computes costs in SQL, as `Usage::cost` does, for executions that end without a holder.

/// Replaces each `{cost}` by an expression for the cost of these tokens at the price with this id, in nano-US-dollars,
/// divided once, rounded half up. NULL where a token count or the price is NULL, or the sum does not fit into 64 bits.
/// Uses `div`, which truncates exactly; `/` would round long quotients.
pub(super) fn with_cost(sql: &str, price_id: &str, [prompt, cached, response]: [&str; 3]) -> String {
    let cost = include_str!("sql/cost.sql").replace("{price_id}", price_id);
    let cost = cost.replace("{prompt}", prompt).replace("{cached}", cached).replace("{response}", response);
    sql.replace("{cost}", &cost)
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
        let sql = "WITH model_prices (id, input, cached_input, output)
                AS (VALUES (1, :input::int8, :cached_input::int8, :output::int8))
            SELECT {cost} FROM (VALUES (1, :prompt::int4, :cached::int4, :response::int4))
                AS u (price_id, prompt, cached, response)";
        let sql = with_cost(sql, "u.price_id", ["u.prompt", "u.cached", "u.response"]);
        numbered(&sql, CostParameters::NAMES)
    });

    parameters! {
        CostParameters(usage: &Usage, price: &Price) {
            prompt = usage.prompt_tokens,
            cached = usage.cached_prompt_tokens,
            response = usage.response_tokens,
            input = price.input,
            cached_input = price.cached_input,
            output = price.output,
        }
    }

    #[tokio::test]
    async fn the_database_reckons_as_the_domain_does() {
        let url =
            std::env::var("TEST_POSTGRES_URL").expect("TEST_POSTGRES_URL names no server: run `cargo xtask test`");
        let mut connection = url.parse::<PgConnectOptions>().unwrap().connect().await.unwrap();
        let counts = [None, Some(0), Some(1), Some(3), Some(999_999), Some(i32::MAX)];
        let prices = [
            (0, None, 0),
            (400_000, None, 99_999),
            (400_000, Some(0), 100_000),
            (499_999, Some(1), 1),
            (7_777_777_777_777_777, Some(1_234_567), 3_333_333_333),
            (4_294_967_296_000_123, None, 1),
            (i64::MAX, Some(i64::MAX), i64::MAX),
        ];
        let all: Vec<_> = (0..6 * 6 * 6).map(|i| (counts[i % 6], counts[i / 6 % 6], counts[i / 36])).collect();
        for (prompt_tokens, cached_prompt_tokens, response_tokens) in all {
            for (input, cached_input, output) in prices {
                let price = Price { id: PriceId(Uuid::nil()), input, cached_input, output, valid_from: Timestamp(0) };
                let usage = Usage { prompt_tokens, cached_prompt_tokens, response_tokens };
                let query = CostParameters::query(&RECKONED, &usage, &price);
                let answer: Option<i64> = query.fetch_one(&mut connection).await.unwrap().get(0);
                assert_eq!(answer, usage.cost(&price), "{usage:?} at {price:?}");
            }
        }
    }
}
