//! Models and prices.

use prompt_ledger_domain::Result;
use prompt_ledger_domain::capabilities::ModelCapabilities;
use prompt_ledger_domain::field::{self, Name};
use prompt_ledger_domain::ids::PriceId;
use prompt_ledger_domain::model as domain;
use prompt_ledger_proto::v1;
use prompt_ledger_store::{NewPrice, PutModel};

use super::time::{moment, timestamp};

#[must_use]
pub fn model(model: domain::Model) -> v1::Model {
    v1::Model {
        provider: model.id.provider,
        model_name: model.id.model_name,
        max_tokens: model.max_tokens,
        supports_streaming: model.supports_streaming,
        prices: model.prices.iter().map(price).collect(),
        discovered: model.discovered,
        created_at: Some(timestamp(model.created_at)),
        updated_at: Some(timestamp(model.updated_at)),
        capabilities: to_capabilities(model.capabilities),
    }
}

/// The position of a model in a list, for a page token.
#[must_use]
pub fn key(model: &v1::Model) -> String {
    format!("{}/{}", model.provider, model.model_name)
}

/// The position that a page token's key names; absent where the key is malformed.
#[must_use]
pub fn cursor(key: &str) -> Option<domain::ModelRef> {
    let (provider, model) = key.split_once('/')?;
    Name::parse("page_token", provider).ok()?;
    let model = field::token("page_token", model.to_owned()).ok()?;
    Some(domain::ModelRef { provider: provider.to_owned(), model_name: model })
}

/// What a model can do; absent where nothing is known.
#[must_use]
pub fn to_capabilities(can: ModelCapabilities) -> Option<v1::ModelCapabilities> {
    let ModelCapabilities { tools, images, schema, reasoning, sampling, stop, tools_need_effort_none } = can;
    let told = v1::ModelCapabilities { tools, images, schema, reasoning, sampling, stop, tools_need_effort_none };
    (can != ModelCapabilities::default()).then_some(told)
}

#[must_use]
pub fn capabilities(sent: Option<v1::ModelCapabilities>) -> ModelCapabilities {
    let v1::ModelCapabilities { tools, images, schema, reasoning, sampling, stop, tools_need_effort_none } =
        sent.unwrap_or_default();
    ModelCapabilities { tools, images, schema, reasoning, sampling, stop, tools_need_effort_none }
}

fn price(price: &domain::Price) -> v1::ModelPrice {
    v1::ModelPrice {
        price_id: price.id.to_string(),
        input_nano_usd_per_million: price.input,
        cached_input_nano_usd_per_million: price.cached_input,
        output_nano_usd_per_million: price.output,
        valid_from: Some(timestamp(price.valid_from)),
        cache_write_5m_nano_usd_per_million: price.cache_write_5m,
        cache_write_1h_nano_usd_per_million: price.cache_write_1h,
    }
}

pub fn put(request: v1::PutModelRequest) -> Result<PutModel> {
    let new_price = |price: v1::ModelPrice| {
        Ok::<_, prompt_ledger_domain::Error>(NewPrice {
            id: PriceId(prompt_ledger_runtime::new_id()),
            input: price.input_nano_usd_per_million,
            cached_input: price.cached_input_nano_usd_per_million,
            cache_write_5m: price.cache_write_5m_nano_usd_per_million,
            cache_write_1h: price.cache_write_1h_nano_usd_per_million,
            output: price.output_nano_usd_per_million,
            valid_from: price.valid_from.map(|at| moment("price.valid_from", at)).transpose()?,
        })
    };
    Ok(PutModel {
        id: domain::ModelRef { provider: request.provider, model_name: request.model_name },
        max_tokens: request.max_tokens,
        supports_streaming: request.supports_streaming,
        capabilities: capabilities(request.capabilities),
        price: request.price.map(new_price).transpose()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_model_can_do_survives_the_wire() {
        for can in [Some(true), Some(false)] {
            let told = ModelCapabilities { tools: can, schema: can, stop: can, ..ModelCapabilities::default() };
            assert_eq!(capabilities(to_capabilities(told)), told);
            let told = ModelCapabilities {
                images: can,
                reasoning: can,
                sampling: can,
                tools_need_effort_none: can,
                ..ModelCapabilities::default()
            };
            assert_eq!(capabilities(to_capabilities(told)), told);
        }
        assert_eq!(to_capabilities(ModelCapabilities::default()), None);
        assert_eq!(capabilities(None), ModelCapabilities::default());
    }
}
