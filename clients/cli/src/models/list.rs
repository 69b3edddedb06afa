use std::time::{SystemTime, UNIX_EPOCH};

use clap::Args;
use prompt_ledger_client::v1;

use crate::connection::LedgerConnection;
use crate::failure::CommandError;
use crate::list::{self, LimitArgs};
use crate::money;
use crate::output::Output;
use crate::style::Tone;
use crate::table::{Cell, TableColumn};

/// Lists models.
#[derive(Args)]
#[command(after_help = "Examples:
  ledgerctl models
  ledgerctl models --provider openai
  ledgerctl models put openai/gpt-4o-mini --input 0.15 --output 0.6
  ledgerctl models --limit 0 --jsonl | jq -r .model_name

Prices are in US dollars for a million tokens, as of now. What a model can do is told as far as it is known.
Under --json and --jsonl each is a Model of the contract with all its prices, in nano-US-dollars.")]
pub(crate) struct ModelListArgs {
    /// Only models of this provider, such as openai
    #[arg(long, value_name = "NAME")]
    provider: Option<String>,
    #[command(flatten)]
    limit: LimitArgs,
}

pub(super) const COLUMNS: [TableColumn; 7] = [
    TableColumn::Left("MODEL"),
    TableColumn::Right("IN $/M"),
    TableColumn::Right("CACHED"),
    TableColumn::Right("OUT $/M"),
    TableColumn::Right("MAX TOKENS"),
    TableColumn::Left("CAN"),
    TableColumn::Left("CANNOT"),
];

impl ModelListArgs {
    pub(super) async fn run(self, connection: &LedgerConnection, output: &mut Output<'_>) -> Result<(), CommandError> {
        let request = v1::ListModelsRequest {
            provider: self.provider.unwrap_or_default(),
            page_size: self.limit.page_size(),
            page_token: String::new(),
        };
        let models = connection.client.list_models(request);
        list::show(models, "Model", &COLUMNS, row, self.limit, connection, output).await
    }
}

/// A model with the price of now.
pub(super) fn row(model: &v1::Model) -> Vec<Cell> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map(|now| now.as_secs()).unwrap_or_default();
    row_at(model, i64::try_from(now).unwrap_or(i64::MAX))
}

fn row_at(model: &v1::Model, now: i64) -> Vec<Cell> {
    let holds = |price: &&v1::ModelPrice| price.valid_from.is_none_or(|from| from.seconds <= now);
    let price = model.prices.iter().find(holds);
    let dollars = |nano: Option<i64>| nano.map_or_else(|| "-".to_owned(), money::dollars);
    let name_tone = if model.discovered { Tone::Dim } else { Tone::Strong };
    let (can, cannot) = abilities(model);
    vec![
        Cell::new(name_tone, format!("{}/{}", model.provider, model.model_name)),
        dollars(price.map(|price| price.input_nano_usd_per_million)).into(),
        dollars(price.and_then(|price| price.cached_input_nano_usd_per_million)).into(),
        dollars(price.map(|price| price.output_nano_usd_per_million)).into(),
        model.max_tokens.map_or_else(|| "-".to_owned(), |most| most.to_string()).into(),
        Cell::new(Tone::Good, can),
        Cell::new(Tone::Warning, cannot),
    ]
}

/// What a model can do, and what it cannot, as far as it is known.
fn abilities(model: &v1::Model) -> (String, String) {
    let known = model.capabilities.unwrap_or_default();
    let all = [
        ("streaming", Some(model.supports_streaming)),
        ("tools", known.tools),
        ("images", known.images),
        ("schema", known.schema),
        ("reasoning", known.reasoning),
        ("sampling", known.sampling),
        ("stop", known.stop),
    ];
    let named = |wanted: bool| {
        let names: Vec<&str> = all.iter().filter(|(_, known)| *known == Some(wanted)).map(|(name, _)| *name).collect();
        names.join(" ")
    };
    let can = match known.tools_need_effort_none {
        Some(true) => named(true).replace("tools", "tools(effort=none)"),
        _ => named(true),
    };
    (can, named(false))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_has_the_price_of_now_and_what_is_known() {
        let price = |from: i64, input: i64| v1::ModelPrice {
            input_nano_usd_per_million: input,
            output_nano_usd_per_million: 600_000_000,
            valid_from: Some(prost_types::Timestamp { seconds: from, nanos: 0 }),
            ..Default::default()
        };
        let capabilities = v1::ModelCapabilities {
            tools: Some(true),
            tools_need_effort_none: Some(true),
            images: Some(false),
            ..Default::default()
        };
        let model = v1::Model {
            provider: "openai".into(),
            model_name: "gpt".into(),
            prices: vec![price(200, 9), price(100, 150_000_000), price(1, 7)],
            capabilities: Some(capabilities),
            ..Default::default()
        };
        let texts: Vec<String> = row_at(&model, 150).into_iter().map(|cell| cell.text).collect();
        assert_eq!(texts, ["openai/gpt", "$0.15", "-", "$0.60", "-", "tools(effort=none)", "streaming images"]);
        let unknown = row_at(&v1::Model::default(), 0);
        assert_eq!((unknown.len(), &*unknown[1].text), (COLUMNS.len(), "-"));
    }
}
