//! Models and their prices.

use prompt_ledger_proto::v1;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::money::UsdJson;
use super::time::{TimeJson, time};
use super::told;

/// Which models.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct ModelsQuery {
    /// Absent: of all providers.
    pub(crate) provider: String,
    /// 1 to 500; 0: 50.
    pub(crate) page_size: i32,
    pub(crate) page_token: String,
}

/// A page of models.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ModelPage)]
pub(crate) struct ModelPageJson {
    pub(crate) models: Vec<ModelJson>,
    /// For the next page; null: this was the last.
    pub(crate) next_page_token: Option<String>,
}

/// A model.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Model)]
pub(crate) struct ModelJson {
    provider: String,
    model_name: String,
    max_tokens: Option<i32>,
    supports_streaming: bool,
    /// Oldest first.
    prices: Vec<PriceJson>,
    /// Null where nothing is known.
    capabilities: Option<CapabilitiesJson>,
    /// Whether its first use registered it.
    discovered: bool,
    created_at: Option<TimeJson>,
    updated_at: Option<TimeJson>,
}

/// What a model can do; null where it is not known.
#[derive(Debug, Default, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ModelCapabilities)]
pub(crate) struct CapabilitiesJson {
    tools: Option<bool>,
    images: Option<bool>,
    schema: Option<bool>,
    reasoning: Option<bool>,
    sampling: Option<bool>,
    stop: Option<bool>,
    tools_need_effort_none: Option<bool>,
}

/// A price, in US dollars per million tokens.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ModelPrice)]
pub(crate) struct PriceJson {
    price_id: String,
    input_usd_per_million: UsdJson,
    cached_input_usd_per_million: Option<UsdJson>,
    cache_write_5m_usd_per_million: Option<UsdJson>,
    cache_write_1h_usd_per_million: Option<UsdJson>,
    output_usd_per_million: UsdJson,
    valid_from: Option<TimeJson>,
}

/// A price to set, in US dollars per million tokens.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewModelPrice)]
pub(crate) struct NewPriceJson {
    input_usd_per_million: UsdJson,
    cached_input_usd_per_million: Option<UsdJson>,
    cache_write_5m_usd_per_million: Option<UsdJson>,
    cache_write_1h_usd_per_million: Option<UsdJson>,
    output_usd_per_million: UsdJson,
    /// Absent: from now on.
    valid_from: Option<TimeJson>,
}

/// A model to register or to change; what is absent stays.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = PutModel)]
pub(crate) struct PutModelBody {
    max_tokens: Option<i32>,
    supports_streaming: Option<bool>,
    price: Option<NewPriceJson>,
    capabilities: Option<CapabilitiesJson>,
}

impl PutModelBody {
    pub(crate) fn wire(self, provider: String, model_name: String) -> v1::PutModelRequest {
        let price = |price: NewPriceJson| v1::ModelPrice {
            price_id: String::new(),
            input_nano_usd_per_million: price.input_usd_per_million.0,
            cached_input_nano_usd_per_million: price.cached_input_usd_per_million.map(|usd| usd.0),
            output_nano_usd_per_million: price.output_usd_per_million.0,
            valid_from: price.valid_from.map(|at| at.0),
            cache_write_5m_nano_usd_per_million: price.cache_write_5m_usd_per_million.map(|usd| usd.0),
            cache_write_1h_nano_usd_per_million: price.cache_write_1h_usd_per_million.map(|usd| usd.0),
        };
        let capabilities = |can: CapabilitiesJson| v1::ModelCapabilities {
            tools: can.tools,
            images: can.images,
            schema: can.schema,
            reasoning: can.reasoning,
            sampling: can.sampling,
            stop: can.stop,
            tools_need_effort_none: can.tools_need_effort_none,
        };
        v1::PutModelRequest {
            provider,
            model_name,
            max_tokens: self.max_tokens,
            supports_streaming: self.supports_streaming,
            price: self.price.map(price),
            capabilities: self.capabilities.map(capabilities),
        }
    }
}

impl From<v1::Model> for ModelJson {
    fn from(model: v1::Model) -> Self {
        let price = |price: v1::ModelPrice| PriceJson {
            price_id: price.price_id,
            input_usd_per_million: UsdJson(price.input_nano_usd_per_million),
            cached_input_usd_per_million: price.cached_input_nano_usd_per_million.map(UsdJson),
            cache_write_5m_usd_per_million: price.cache_write_5m_nano_usd_per_million.map(UsdJson),
            cache_write_1h_usd_per_million: price.cache_write_1h_nano_usd_per_million.map(UsdJson),
            output_usd_per_million: UsdJson(price.output_nano_usd_per_million),
            valid_from: time(price.valid_from),
        };
        let capabilities = |can: v1::ModelCapabilities| CapabilitiesJson {
            tools: can.tools,
            images: can.images,
            schema: can.schema,
            reasoning: can.reasoning,
            sampling: can.sampling,
            stop: can.stop,
            tools_need_effort_none: can.tools_need_effort_none,
        };
        Self {
            provider: model.provider,
            model_name: model.model_name,
            max_tokens: model.max_tokens,
            supports_streaming: model.supports_streaming,
            prices: model.prices.into_iter().map(price).collect(),
            capabilities: model.capabilities.map(capabilities),
            discovered: model.discovered,
            created_at: time(model.created_at),
            updated_at: time(model.updated_at),
        }
    }
}

impl From<v1::ListModelsResponse> for ModelPageJson {
    fn from(sent: v1::ListModelsResponse) -> Self {
        let models = sent.models.into_iter().map(Into::into).collect();
        Self { models, next_page_token: told(sent.next_page_token) }
    }
}
