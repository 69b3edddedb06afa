//! A cost, reckoned where the tokens are: as `Usage::cost` does, for executions that nobody is there to finish.

/// What these tokens cost by the price of this id: nano-dollars, divided once, half up. Absent where a count or the
/// price is, or where the sum does not fit. `div` cuts a whole quotient; `/` would round one of many digits.
macro_rules! cost {
    ($price_id:literal, $prompt:literal, $cached:literal, $response:literal) => {
        concat!(
            "(SELECT CASE WHEN r.nano <= 9223372036854775807 THEN r.nano::int8 END FROM model_prices m CROSS JOIN LATERAL \
             (SELECT div((",
            $prompt,
            " - least(coalesce(",
            $cached,
            ", 0), ",
            $prompt,
            "))::numeric * m.input + least(coalesce(",
            $cached,
            ", 0), ",
            $prompt,
            ")::numeric * coalesce(m.cached_input, m.input) + ",
            $response,
            "::numeric * m.output + 500000, 1000000) AS nano) r WHERE m.id = ",
            $price_id,
            ")"
        )
    };
}
pub(super) use cost;

#[cfg(test)]
mod tests {
    use prompt_ledger_domain::Timestamp;
    use prompt_ledger_domain::ids::PriceId;
    use prompt_ledger_domain::model::{Price, Usage};
    use sqlx::ConnectOptions;
    use sqlx::postgres::PgConnectOptions;
    use uuid::Uuid;

    /// Tokens $1 to $3 at the price $4 to $6.
    const RECKONED: &str = concat!(
        "WITH model_prices (id, input, cached_input, output) AS (VALUES (1, $4::int8, $5::int8, $6::int8)) SELECT ",
        cost!("u.price_id", "u.prompt", "u.cached", "u.response"),
        " FROM (VALUES (1, $1::int4, $2::int4, $3::int4)) AS u (price_id, prompt, cached, response)"
    );

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
        for (prompt_tokens, cached_tokens, response_tokens) in all {
            for (input, cached_input, output) in prices {
                let price = Price { id: PriceId(Uuid::nil()), input, cached_input, output, valid_from: Timestamp(0) };
                let usage = Usage { prompt_tokens, cached_tokens, response_tokens };
                let reckoned: Option<i64> = sqlx::query_scalar(RECKONED)
                    .bind(prompt_tokens)
                    .bind(cached_tokens)
                    .bind(response_tokens)
                    .bind(input)
                    .bind(cached_input)
                    .bind(output)
                    .fetch_one(&mut connection)
                    .await
                    .unwrap();
                assert_eq!(reckoned, usage.cost(&price), "{usage:?} at {price:?}");
            }
        }
    }
}
