//! Token counts: read under every name in use, kept as they are told, and brought into our form at the end.

use prompt_ledger_domain::model::Usage;

use super::json::{Raw, json_object};

/// The counts of one call as the provider told them; absent: not told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    prompt: Option<i64>,
    response: Option<i64>,
    total: Option<i64>,
    /// Read from the cache.
    cached: Option<i64>,
    /// Written to the cache, whatever the time that it is kept for.
    written: Option<i64>,
    /// Of these, for 5 minutes.
    written_5m: Option<i64>,
    /// Of these, for an hour.
    written_1h: Option<i64>,
    reasoning: Option<i64>,
}

/// Whether the prompt's count excludes what the cache took part in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PromptCount {
    /// It includes that, unless the total says otherwise.
    Includes,
    Excludes,
}

json_object!(Used {
    "prompt_tokens" => prompt,
    "input_tokens" => input,
    "completion_tokens" => completion,
    "output_tokens" => output,
    "total_tokens" => total,
    "prompt_tokens_details" => prompt_details,
    "input_tokens_details" => input_details,
    "completion_tokens_details" => completion_details,
    "output_tokens_details" => output_details,
    "prompt_cache_hit_tokens" => cache_hit,
    "cached_tokens" => cached,
    "cache_read_input_tokens" => cache_read,
    "cache_creation_input_tokens" => written,
    "cache_write_input_tokens" => cache_write,
    "cache_creation" => lifetimes,
    "reasoning_tokens" => reasoning,
});

json_object!(TokenDetails {
    "cached_tokens" => cached,
    "cache_write_tokens" => cache_write,
    "cache_creation_tokens" => cache_creation,
    "cache_creation_input_tokens" => written,
    "cache_creation" => lifetimes,
    "cache_creation_token_details" => lifetime_details,
    "reasoning_tokens" => reasoning,
});

json_object!(
    /// What was written to the cache, by the time that it is kept for.
    CacheLifetimes {
        "ephemeral_5m_input_tokens" => minutes,
        "ephemeral_1h_input_tokens" => hour,
    }
);

fn first<const N: usize>(names: [Raw<'_>; N]) -> Option<i64> {
    names.into_iter().find_map(Raw::count)
}

impl Counts {
    /// Adds what a `usage` tells. Counts of one call are totals: a later one replaces an earlier one, but zero or null
    /// replaces none.
    pub(crate) fn tell(&mut self, usage: Raw<'_>) {
        let used: Used<'_> = usage.object();
        let details = [used.prompt_details, used.input_details, used.completion_details, used.output_details];
        let [prompt, input, completion, output] = details.map(Raw::object::<TokenDetails<'_>>);
        let lifetimes =
            [used.lifetimes, prompt.lifetimes, prompt.lifetime_details, input.lifetimes, input.lifetime_details];
        let lifetimes = lifetimes.map(Raw::object::<CacheLifetimes<'_>>);
        for (kept, told) in [
            (&mut self.prompt, first([used.prompt, used.input])),
            (&mut self.response, first([used.completion, used.output])),
            (&mut self.total, first([used.total])),
            (&mut self.cached, first([prompt.cached, input.cached, used.cache_hit, used.cached, used.cache_read])),
            (
                &mut self.written,
                first([
                    used.written,
                    used.cache_write,
                    prompt.cache_write,
                    prompt.cache_creation,
                    prompt.written,
                    input.cache_write,
                    input.cache_creation,
                    input.written,
                ]),
            ),
            (&mut self.written_5m, first(lifetimes.map(|lifetimes| lifetimes.minutes))),
            (&mut self.written_1h, first(lifetimes.map(|lifetimes| lifetimes.hour))),
            (&mut self.reasoning, first([completion.reasoning, output.reasoning, used.reasoning])),
        ] {
            if told.is_some_and(|told| told != 0) || kept.is_none() {
                *kept = told;
            }
        }
    }

    /// Whether the model wrote any token.
    pub(crate) fn has_response(&self) -> bool {
        self.response.or(self.reasoning).is_some_and(|count| count > 0)
    }

    /// In our form: a prompt's count includes cached tokens, a response's reasoning ones. Servers disagree about both,
    /// so the total decides, by the first rule that fits it.
    pub(crate) fn usage(&self, prompt_count: PromptCount) -> Usage {
        let sum = |counts: &[i64]| counts.iter().fold(0_i64, |sum, count| sum.saturating_add(*count));
        let (written_5m, written_1h) = self.written_by_lifetime();
        let [prompt, response, cached, reasoning] =
            [self.prompt, self.response, self.cached, self.reasoning].map(Option::unwrap_or_default);
        let written = sum(&[written_5m.unwrap_or_default(), written_1h.unwrap_or_default()]);
        let with_cache = sum(&[prompt, cached, written]);
        let as_told = (self.prompt, self.response);
        let (prompt, response) = match (prompt_count, self.total) {
            (PromptCount::Excludes, _) => (self.prompt.map(|_| with_cache), self.response),
            (_, Some(total)) if total == sum(&[prompt, response]) => as_told,
            (_, Some(total)) if reasoning > 0 && total == sum(&[prompt, response, reasoning]) => {
                (self.prompt, Some(sum(&[response, reasoning])))
            }
            (_, Some(total)) if cached > 0 && total == sum(&[prompt, response, cached]) => {
                (Some(sum(&[prompt, cached])), self.response)
            }
            (_, Some(total)) if total == sum(&[with_cache, response]) => (Some(with_cache), self.response),
            (_, Some(total)) if self.prompt.is_some() && reasoning == 0 && total > sum(&[prompt, response]) => {
                (self.prompt, Some(total - prompt))
            }
            _ => as_told,
        };
        let count = |told: Option<i64>| told.and_then(|count| i32::try_from(count).ok());
        Usage {
            prompt_tokens: count(prompt),
            cached_prompt_tokens: count(self.cached),
            cache_write_5m_tokens: count(written_5m),
            cache_write_1h_tokens: count(written_1h),
            response_tokens: count(response),
        }
    }

    /// What was written to the cache for 5 minutes, and for an hour. All that was written is known to be for an hour, or
    /// counts as for 5 minutes: that is the usual time, and the cheaper one.
    fn written_by_lifetime(&self) -> (Option<i64>, Option<i64>) {
        let Some(all) = self.written.filter(|all| *all > 0) else {
            return (self.written_5m.or(self.written), self.written_1h);
        };
        let hour = self.written_1h.map(|hour| hour.min(all));
        (Some(all - hour.unwrap_or_default()), hour)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn counts(told: &[Value]) -> Counts {
        let mut counts = Counts::default();
        for usage in told {
            counts.tell(Raw::document(&usage.to_string()).unwrap());
        }
        counts
    }

    fn usage(
        prompt: impl Into<Option<i32>>,
        cached: impl Into<Option<i32>>,
        response: impl Into<Option<i32>>,
    ) -> Usage {
        let (prompt_tokens, cached_prompt_tokens, response_tokens) = (prompt.into(), cached.into(), response.into());
        Usage { prompt_tokens, cached_prompt_tokens, response_tokens, ..Usage::default() }
    }

    fn written(minutes: impl Into<Option<i32>>, hour: impl Into<Option<i32>>) -> [Option<i32>; 2] {
        [minutes.into(), hour.into()]
    }

    /// Without what was written to the cache.
    fn apart_from_writes(usage: Usage) -> Usage {
        Usage { cache_write_5m_tokens: None, cache_write_1h_tokens: None, ..usage }
    }

    #[test]
    fn a_count_is_read_under_every_name_in_use() {
        for (told, expected) in [
            (json!(null), usage(None, None, None)),
            (json!({"prompt_tokens": 10, "completion_tokens": 5, "more": {}}), usage(10, None, 5)),
            (json!({"input_tokens": 10.0, "output_tokens": "5"}), usage(10, None, 5)),
            (json!({"prompt_tokens": null, "input_tokens": 10, "completion_tokens": 5}), usage(10, None, 5)),
            (json!({"prompt_tokens": 10, "prompt_tokens_details": {"cached_tokens": 4}}), usage(10, 4, None)),
            (json!({"prompt_tokens": 10, "input_tokens_details": {"cached_tokens": 4}}), usage(10, 4, None)),
            (json!({"prompt_tokens": 10, "prompt_cache_hit_tokens": 4}), usage(10, 4, None)),
            (json!({"prompt_tokens": 10, "cached_tokens": 4}), usage(10, 4, None)),
            (
                json!({"prompt_tokens": 50, "prompt_cache_hit_tokens": 40, "prompt_tokens_details": {"cached_tokens": 40}}),
                usage(50, 40, None),
            ),
            (json!({"prompt_tokens": -1, "completion_tokens": 4_000_000_000_u64}), usage(None, None, None)),
            (json!({"prompt_tokens": 7.5, "completion_tokens": "many"}), usage(None, None, None)),
        ] {
            let usage = counts(std::slice::from_ref(&told)).usage(PromptCount::Includes);
            assert_eq!(apart_from_writes(usage), expected, "{told}");
        }
    }

    #[test]
    fn what_is_written_to_the_cache_is_read_under_every_name_in_use() {
        let lifetimes =
            |minutes: i64, hour: i64| json!({"ephemeral_5m_input_tokens": minutes, "ephemeral_1h_input_tokens": hour});
        let details = |name: &str, value: Value| json!({"prompt_tokens": 99, "prompt_tokens_details": {name: value}});
        for (told, expected) in [
            (json!({"prompt_tokens": 99}), written(None, None)),
            (json!({"cache_creation_input_tokens": 7}), written(7, None)),
            (json!({"cache_write_input_tokens": "7"}), written(7, None)),
            (details("cache_write_tokens", json!(7)), written(7, None)),
            (details("cache_creation_tokens", json!(7.0)), written(7, None)),
            (details("cache_creation_input_tokens", json!(7)), written(7, None)),
            (json!({"input_tokens_details": {"cache_write_tokens": 7}}), written(7, None)),
            // By the time that it is kept for.
            (json!({"cache_creation_input_tokens": 7, "cache_creation": lifetimes(3, 4)}), written(3, 4)),
            (json!({"cache_creation_input_tokens": 0, "cache_creation": lifetimes(0, 0)}), written(0, 0)),
            (json!({"cache_creation": lifetimes(3, 4)}), written(3, 4)),
            (json!({"cache_creation_input_tokens": 0, "cache_creation": lifetimes(3, 4)}), written(3, 4)),
            (json!({"cache_creation_input_tokens": 0}), written(0, None)),
            (details("cache_creation", json!({"ephemeral_5m_input_tokens": 3})), written(3, None)),
            (details("cache_creation_token_details", lifetimes(3, 4)), written(3, 4)),
            // The sum is right where they disagree.
            (json!({"cache_creation_input_tokens": 7, "cache_creation": lifetimes(1, 2)}), written(5, 2)),
            (json!({"cache_creation_input_tokens": 7, "cache_creation": lifetimes(9, 9)}), written(0, 7)),
            (json!({"cache_creation_input_tokens": 7, "cache_creation": "both"}), written(7, None)),
        ] {
            for prompt_count in [PromptCount::Includes, PromptCount::Excludes] {
                let usage = counts(std::slice::from_ref(&told)).usage(prompt_count);
                assert_eq!([usage.cache_write_5m_tokens, usage.cache_write_1h_tokens], expected, "{told}");
            }
        }
        let told = json!({"input_tokens": 2, "cache_read_input_tokens": 10, "cache_creation": lifetimes(3, 4)});
        assert_eq!(counts(&[told]).usage(PromptCount::Excludes).prompt_tokens, Some(19), "without their sum too");
    }

    #[test]
    fn the_last_count_that_is_not_zero_stays() {
        for (told, expected) in [
            (
                &[
                    json!({"prompt_tokens": 8, "completion_tokens": 2}),
                    json!({"prompt_tokens": 0, "completion_tokens": 0}),
                ][..],
                (8, 2),
            ),
            (&[json!({"prompt_tokens": 8}), json!({"completion_tokens": 2})], (8, 2)),
            (
                &[
                    json!({"prompt_tokens": 0, "completion_tokens": 0}),
                    json!({"prompt_tokens": 8, "completion_tokens": 2}),
                ],
                (8, 2),
            ),
            (
                &[
                    json!({"prompt_tokens": 8, "completion_tokens": 9}),
                    json!({"prompt_tokens": null, "completion_tokens": 3}),
                ],
                (8, 3),
            ),
            (&[json!({"prompt_tokens": 0, "completion_tokens": 0}), json!(null), json!("x"), json!({})], (0, 0)),
        ] {
            assert_eq!(counts(told).usage(PromptCount::Includes), usage(expected.0, None, expected.1), "{told:?}");
        }
    }

    #[test]
    fn the_total_says_what_the_counts_include() {
        let reasoning = |count: i64| json!({"reasoning_tokens": count});
        let cached = |count: i64| json!({"cached_tokens": count});
        for ((prompt, completion, total), details, expected) in [
            // Reasoning is inside, or beside.
            ((1000, 30, 1030), json!({"completion_tokens_details": reasoning(20)}), usage(1000, None, 30)),
            ((1000, 30, 1100), json!({"completion_tokens_details": reasoning(70)}), usage(1000, None, 100)),
            (
                (1000, 30, 1100),
                json!({"reasoning_tokens": 70, "prompt_tokens_details": cached(200)}),
                usage(1000, 200, 100),
            ),
            // The prompt excludes what was cached.
            ((100, 10, 150), json!({"prompt_tokens_details": cached(40)}), usage(140, 40, 10)),
            ((100, 10, 155), json!({"cached_tokens": 40, "cache_creation_input_tokens": 5}), usage(145, 40, 10)),
            ((100, 10, 115), json!({"cache_creation_input_tokens": 5}), usage(105, None, 10)),
            ((100, 10, 110), json!({"cached_tokens": 40}), usage(100, 40, 10)),
            // Reasoning is not told at all.
            ((7, 10, 317), json!({}), usage(7, None, 310)),
            ((7, 10, 317), json!({"completion_tokens_details": reasoning(0)}), usage(7, None, 310)),
            // No rule fits.
            ((7, 10, 317), json!({"reasoning_tokens": 3}), usage(7, None, 10)),
            ((7, 10, 12), json!({}), usage(7, None, 10)),
        ] {
            let mut told = details;
            for (name, count) in [("prompt_tokens", prompt), ("completion_tokens", completion), ("total_tokens", total)]
            {
                told[name] = json!(count);
            }
            let usage = counts(std::slice::from_ref(&told)).usage(PromptCount::Includes);
            assert_eq!(apart_from_writes(usage), expected, "{told}");
        }
    }

    #[test]
    fn a_total_alone_is_split_only_where_the_prompt_is_told() {
        let told = json!({"prompt_tokens": 7, "total_tokens": 10});
        assert_eq!(counts(&[told]).usage(PromptCount::Includes), usage(7, None, 3));
        assert_eq!(counts(&[json!({"total_tokens": 10})]).usage(PromptCount::Includes), usage(None, None, None));
    }

    #[test]
    fn a_prompt_that_excludes_the_cache_is_counted_with_it() {
        for (told, expected) in [
            (json!({"input_tokens": 3, "output_tokens": 7}), usage(3, None, 7)),
            (
                json!({"input_tokens": 3, "cache_read_input_tokens": 10, "cache_creation_input_tokens": 100}),
                usage(113, 10, None),
            ),
            (json!({"input_tokens": i32::MAX, "cache_read_input_tokens": 1}), usage(None, 1, None)),
            (json!({"cache_read_input_tokens": 1}), usage(None, 1, None)),
        ] {
            let usage = counts(std::slice::from_ref(&told)).usage(PromptCount::Excludes);
            assert_eq!(apart_from_writes(usage), expected, "{told}");
        }
        let parts = [
            json!({"input_tokens": 20, "cache_read_input_tokens": 30, "output_tokens": 1}),
            json!({"input_tokens": 0, "cache_read_input_tokens": 0, "output_tokens": 4}),
        ];
        assert_eq!(counts(&parts).usage(PromptCount::Excludes), usage(50, 30, 4));
    }
}
