//! Models, their prices, token counts and cost. Money is whole nano-US-dollars (10^-9 USD).

use serde::{Deserialize, Serialize};

use crate::Timestamp;
use crate::capabilities::ModelCapabilities;
use crate::ids::PriceId;

/// A model of a provider instance; displayed as `provider/model_name`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelRef {
    /// The name of a configured provider instance.
    pub provider: String,
    /// The model as that provider names it, at most 255 bytes.
    pub model_name: String,
}

impl std::fmt::Display for ModelRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.provider, self.model_name)
    }
}

/// A registered model. All projects share it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Model {
    /// Provider and model name, unique in the deployment.
    pub id: ModelRef,
    /// Maximum number of tokens in one response, 1 or more; absent where not known.
    pub max_tokens: Option<i32>,
    /// As registered with PutModel; true where that did not say.
    pub supports_streaming: bool,
    /// What it can do, as far as that is known.
    pub capabilities: ModelCapabilities,
    /// Latest `valid_from` first. Empty means not known: executions then have no cost.
    pub prices: Vec<Price>,
    /// Whether it was registered by its first use, and not written by PutModel since.
    pub discovered: bool,
    /// When it was registered, by PutModel or by its first use.
    pub created_at: Timestamp,
    /// When PutModel last wrote it, or its registration.
    pub updated_at: Timestamp,
}

impl Model {
    /// The price with the latest `valid_from` that is not after `at`.
    #[must_use]
    pub fn price_at(&self, at: Timestamp) -> Option<&Price> {
        self.prices.iter().find(|price| price.valid_from <= at)
    }
}

/// Prices in nano-US-dollars per million tokens; none is negative. They never change once written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Price {
    /// UUIDv7, made by the server; recorded with each execution whose cost it determines.
    pub id: PriceId,
    /// Per million prompt tokens that the provider's cache took no part in.
    pub input: i64,
    /// Per million prompt tokens from the provider's cache; absent means the price of `input`.
    pub cached_input: Option<i64>,
    /// Per million prompt tokens written to the cache for 5 minutes; absent means the price of `input`.
    pub cache_write_5m: Option<i64>,
    /// Per million prompt tokens written to the cache for an hour; absent means the price of `input`.
    pub cache_write_1h: Option<i64>,
    /// Per million response tokens, reasoning included.
    pub output: i64,
    /// The price holds from then on, until the next one's `valid_from`.
    pub valid_from: Timestamp,
}

/// Token counts of one or several provider calls. Absent means that the provider reported none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Tokens of the prompt, with those that came from the provider's cache or were written to it.
    pub prompt_tokens: Option<i32>,
    /// Those of `prompt_tokens` that came from the provider's cache.
    pub cached_prompt_tokens: Option<i32>,
    /// Those of `prompt_tokens` that were written to the cache for 5 minutes, or for a time that the provider did not
    /// report.
    pub cache_write_5m_tokens: Option<i32>,
    /// Those of `prompt_tokens` that were written to the cache for an hour.
    pub cache_write_1h_tokens: Option<i32>,
    /// Tokens of the response, reasoning included.
    pub response_tokens: Option<i32>,
}

impl Usage {
    /// The sum, count by count; a count absent in both stays absent, absent in one it counts as 0.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        let sum = |a: Option<i32>, b: Option<i32>| match (a, b) {
            (Some(a), Some(b)) => Some(a.saturating_add(b)),
            (told, None) | (None, told) => told,
        };
        Self {
            prompt_tokens: sum(self.prompt_tokens, other.prompt_tokens),
            cached_prompt_tokens: sum(self.cached_prompt_tokens, other.cached_prompt_tokens),
            cache_write_5m_tokens: sum(self.cache_write_5m_tokens, other.cache_write_5m_tokens),
            cache_write_1h_tokens: sum(self.cache_write_1h_tokens, other.cache_write_1h_tokens),
            response_tokens: sum(self.response_tokens, other.response_tokens),
        }
    }

    /// The cost in nano-US-dollars: summed in 128 bits, divided once, rounded half up. Absent where the prompt or
    /// response count is absent, or the result exceeds `i64`. Counts that together exceed the prompt's count as far as
    /// it goes, in this order: cached, written for 5 minutes, written for an hour.
    #[must_use]
    pub fn cost(self, price: &Price) -> Option<i64> {
        let mut left = i128::from(self.prompt_tokens?);
        let response = i128::from(self.response_tokens?);
        let mut sum = response * i128::from(price.output);
        for (count, price_of) in [
            (self.cached_prompt_tokens, price.cached_input),
            (self.cache_write_5m_tokens, price.cache_write_5m),
            (self.cache_write_1h_tokens, price.cache_write_1h),
        ] {
            let part = i128::from(count.unwrap_or(0)).min(left);
            left -= part;
            sum += part * i128::from(price_of.unwrap_or(price.input));
        }
        sum += left * i128::from(price.input);
        i64::try_from((sum + 500_000).div_euclid(1_000_000)).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn usage(
        prompt: impl Into<Option<i32>>,
        cached: impl Into<Option<i32>>,
        response: impl Into<Option<i32>>,
    ) -> Usage {
        let (prompt_tokens, cached_prompt_tokens, response_tokens) = (prompt.into(), cached.into(), response.into());
        Usage { prompt_tokens, cached_prompt_tokens, response_tokens, ..Usage::default() }
    }

    fn writing(usage: Usage, minutes: i32, hour: i32) -> Usage {
        Usage { cache_write_5m_tokens: Some(minutes), cache_write_1h_tokens: Some(hour), ..usage }
    }

    fn price(input: i64, cached_input: Option<i64>, output: i64) -> Price {
        let (id, valid_from) = (PriceId(Uuid::nil()), Timestamp(0));
        Price { id, input, cached_input, cache_write_5m: None, cache_write_1h: None, output, valid_from }
    }

    #[test]
    fn a_model_is_named_with_its_provider() {
        assert_eq!(ModelRef { provider: "a".into(), model_name: "b".into() }.to_string(), "a/b");
    }

    #[test]
    fn the_latest_price_that_has_begun_holds() {
        let from = |at| Price { valid_from: Timestamp(at), ..price(at, None, 0) };
        let id = ModelRef { provider: "a".into(), model_name: "b".into() };
        let (created_at, updated_at) = (Timestamp(0), Timestamp(0));
        let prices = vec![from(20), from(10)];
        let model = Model {
            id,
            max_tokens: None,
            supports_streaming: true,
            capabilities: ModelCapabilities::default(),
            prices,
            discovered: false,
            created_at,
            updated_at,
        };
        let at = |at| model.price_at(Timestamp(at)).map(|price| price.input);
        assert_eq!([at(9), at(10), at(19), at(20)], [None, Some(10), Some(10), Some(20)]);
    }

    #[test]
    fn usage_adds_up_and_absent_stays_absent() {
        assert_eq!(usage(1, None, 2).plus(usage(3, 4, None)), usage(4, 4, 2));
        assert_eq!(Usage::default().plus(Usage::default()), Usage::default());
        assert_eq!(usage(i32::MAX, None, None).plus(usage(1, None, None)), usage(i32::MAX, None, None));
        let written =
            writing(usage(1, None, 2), 3, 0).plus(writing(usage(3, 4, None), 4, 5)).plus(usage(1, None, None));
        assert_eq!(written, writing(usage(5, 4, 2), 7, 5));
    }

    #[test]
    fn cost_is_divided_once_and_rounded_half_up() {
        for (usage, price, expected) in [
            (usage(1_000_000, None, 0), price(150_000_000, None, 600_000_000), Some(150_000_000)),
            (usage(1, 0, 1), price(400_000, None, 99_999), Some(0)),
            (usage(1, 0, 1), price(400_000, None, 100_000), Some(1)),
            (usage(10, 4, 0), price(1_000_000, Some(500_000), 0), Some(8)),
            (usage(10, 4, 0), price(1_000_000, None, 0), Some(10)),
            (usage(3, 9, 0), price(1_000_000, Some(0), 0), Some(0)),
            (usage(None, None, 5), price(1, None, 1), None),
            (usage(5, None, None), price(1, None, 1), None),
            (usage(i32::MAX, None, i32::MAX), price(i64::MAX, None, i64::MAX), None),
        ] {
            assert_eq!(usage.cost(&price), expected, "{usage:?}");
        }
    }

    #[test]
    fn what_is_written_to_the_cache_has_prices_of_its_own() {
        let own =
            |minutes, hour| Price { cache_write_5m: minutes, cache_write_1h: hour, ..price(1_000_000, Some(0), 0) };
        for (usage, price, expected) in [
            (writing(usage(100, 10, 0), 20, 30), own(Some(5_000_000), Some(7_000_000)), 40 + 20 * 5 + 30 * 7),
            (writing(usage(100, 10, 0), 20, 30), own(None, Some(7_000_000)), 60 + 30 * 7),
            (writing(usage(100, 10, 0), 20, 30), own(Some(0), None), 70),
            (writing(usage(100, 10, 0), 20, 30), own(None, None), 90),
            // More than the prompt: what was cached counts first, then what lives 5 minutes.
            (writing(usage(100, 40, 0), 50, 30), own(Some(5_000_000), Some(7_000_000)), 50 * 5 + 10 * 7),
            (writing(usage(100, 200, 0), 50, 30), own(Some(5_000_000), Some(7_000_000)), 0),
        ] {
            assert_eq!(usage.cost(&price), Some(expected), "{usage:?} at {price:?}");
        }
    }
}
