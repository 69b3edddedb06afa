use clap::Args;
use prompt_ledger_client::v1;
use prost_types::Timestamp;

use super::list::{COLUMNS, row};
use crate::connection::LedgerConnection;
use crate::contract_json;
use crate::exec::model_params::model;
use crate::failure::CommandError;
use crate::money::nano_dollars;
use crate::output::{AnswerFormat, Output};
use crate::since;
use crate::table::Table;

/// Writes a model.
#[derive(Args)]
#[command(after_help = "Examples:
  ledgerctl models put openai/gpt-4o-mini --input 0.15 --cached-input 0.075 --output 0.6
  ledgerctl models put openai/gpt-4o-mini --input 0.1 --output 0.4 --valid-from 2026-10-01T00:00:00Z
  ledgerctl models put local/llama --max-tokens 8192 --tools false

Prices are US dollars for a million tokens, with at most 9 decimals, kept exactly. A price never changes: another one is added, and \
holds from --valid-from on. What is left out is kept.

Under --json and --jsonl it is the Model of the contract, as it is now.")]
pub(crate) struct ModelPutArgs {
    /// The model, as its provider calls it
    #[arg(value_name = "PROVIDER/NAME", value_parser = model)]
    model: v1::ModelRef,
    /// Dollars for a million tokens of prompts
    #[arg(long, value_name = "DOLLARS", value_parser = nano_dollars, requires = "output")]
    input: Option<i64>,
    /// Dollars for a million tokens of answers
    #[arg(long, value_name = "DOLLARS", value_parser = nano_dollars, requires = "input")]
    output: Option<i64>,
    /// Dollars for a million tokens of prompts from the provider's cache; absent: as --input
    #[arg(long, value_name = "DOLLARS", value_parser = nano_dollars, requires = "input")]
    cached_input: Option<i64>,
    /// Dollars for a million tokens that are written to the provider's cache for 5 minutes; absent: as --input
    #[arg(long, value_name = "DOLLARS", value_parser = nano_dollars, requires = "input")]
    cache_write_5m: Option<i64>,
    /// Dollars for a million tokens that are written to the provider's cache for an hour; absent: as --input
    #[arg(long, value_name = "DOLLARS", value_parser = nano_dollars, requires = "input")]
    cache_write_1h: Option<i64>,
    /// From when on the price holds, as 2026-01-31T08:00:00Z; absent: from now on
    #[arg(long, value_name = "TIME", value_parser = since::parse, requires = "input")]
    valid_from: Option<Timestamp>,
    /// The most tokens that the model writes in one answer
    #[arg(long, value_name = "N")]
    max_tokens: Option<i32>,
    /// Whether it streams its text
    #[arg(long, value_name = "true|false")]
    streaming: Option<bool>,
    #[command(flatten)]
    can: AbilityArgs,
}

/// What a model can do; what is absent is kept.
#[derive(Args, Clone, Copy, Debug, Default)]
#[command(next_help_heading = "What it can do")]
struct AbilityArgs {
    /// Whether it takes tools
    #[arg(long, value_name = "true|false")]
    tools: Option<bool>,
    /// Whether it takes tools only with the reasoning effort none
    #[arg(long, value_name = "true|false")]
    tools_need_effort_none: Option<bool>,
    /// Whether it takes images
    #[arg(long, value_name = "true|false")]
    images: Option<bool>,
    /// Whether it answers by a JSON schema
    #[arg(long, value_name = "true|false")]
    schema: Option<bool>,
    /// Whether it takes a reasoning effort
    #[arg(long, value_name = "true|false")]
    reasoning: Option<bool>,
    /// Whether it takes temperature, top_p and top_k
    #[arg(long, value_name = "true|false")]
    sampling: Option<bool>,
    /// Whether it takes stop sequences
    #[arg(long, value_name = "true|false")]
    stop: Option<bool>,
}

impl AbilityArgs {
    fn in_the_contract(self) -> Option<v1::ModelCapabilities> {
        let Self { tools, tools_need_effort_none, images, schema, reasoning, sampling, stop } = self;
        let can = v1::ModelCapabilities { tools, images, schema, reasoning, sampling, stop, tools_need_effort_none };
        (can != v1::ModelCapabilities::default()).then_some(can)
    }
}

impl ModelPutArgs {
    pub(super) async fn run(self, connection: &LedgerConnection, output: &mut Output<'_>) -> Result<(), CommandError> {
        let request = self.request();
        let answer = connection
            .ask(request, |client, request| async move { client.registry().put_model(request).await })
            .await?;
        let model = answer.model.unwrap_or_default();
        if output.format != AnswerFormat::Text {
            return Ok(output.json(&contract_json::write("Model", &model))?);
        }
        let mut table = Table::new(&COLUMNS);
        table.row(row(&model));
        Ok(output.table(&table)?)
    }

    fn request(self) -> v1::PutModelRequest {
        let price = self.input.zip(self.output).map(|(input, output)| v1::ModelPrice {
            price_id: String::new(),
            input_nano_usd_per_million: input,
            cached_input_nano_usd_per_million: self.cached_input,
            output_nano_usd_per_million: output,
            valid_from: self.valid_from,
            cache_write_5m_nano_usd_per_million: self.cache_write_5m,
            cache_write_1h_nano_usd_per_million: self.cache_write_1h,
        });
        v1::PutModelRequest {
            provider: self.model.provider,
            model_name: self.model.model_name,
            max_tokens: self.max_tokens,
            supports_streaming: self.streaming,
            price,
            capabilities: self.can.in_the_contract(),
        }
    }
}
