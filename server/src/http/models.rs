//! Models and their prices.

use std::sync::Arc;

use prompt_ledger_domain::Result;
use prompt_ledger_proto::v1;

use super::Api;
use super::call::{HttpCall, Reply};
use super::prompts::answered;
use super::types::model::{ModelJson, ModelPageJson, ModelsQuery, PutModelBody};

pub(super) async fn list(api: Arc<Api>, _: HttpCall, query: ModelsQuery) -> Result<Reply<ModelPageJson>> {
    let ModelsQuery { provider, page_size, page_token } = query;
    let page = api.registry.models(v1::ListModelsRequest { provider, page_size, page_token }).await?;
    Ok(ModelPageJson::from(page).into())
}

pub(super) async fn put(api: Arc<Api>, call: HttpCall, body: PutModelBody) -> Result<Reply<ModelJson>> {
    let sent = body.wire(call.part("provider"), call.part("model"));
    Ok(ModelJson::from(answered(api.registry.put_one_model(&call.caller, sent).await?.model)?).into())
}
