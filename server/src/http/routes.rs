//! The table of routes: each call, the RPC that it is, and its handler. Types of requests and answers are those of the
//! handlers.

use std::sync::Arc;

use axum::Router;
use http::Method;
use utoipa::openapi::{Components, OpenApi};

use super::row::RowAnswer::{Accepted, Either, Json, PromptStream, Stream};
use super::row::{Row, RowDescription, reads, told, writes};
use super::row_headers::Conditions::{Changed, Matching, MatchingOrNew};
use super::{V1State, analytics, code, executions, labels, models, prompts, streams};

const GET: &Method = &Method::GET;
const PUT: &Method = &Method::PUT;
const POST: &Method = &Method::POST;
const PATCH: &Method = &Method::PATCH;
const DELETE: &Method = &Method::DELETE;

#[rustfmt::skip]
fn rows() -> Vec<Row> {
    vec![
        writes(PUT, told("/v1/prompts/{name}", "putPrompt", "Write a prompt; a content that it did not have becomes its next version").on(MatchingOrNew), Json, prompts::put),
        reads(GET, told("/v1/prompts/{name}", "getPrompt", "Read a prompt with its active version, or with the one that is selected").on(Changed), Json, prompts::get),
        writes(PATCH, told("/v1/prompts/{name}", "updatePrompt", "Change what describes a prompt").on(Matching), Json, prompts::patch),
        reads(GET, told("/v1/prompts", "listPrompts", "List prompts by name"), Json, prompts::list),
        writes(POST, told("/v1/prompts:batchGet", "batchGetPrompts", "Read several prompts"), Json, prompts::batch_get),
        reads(GET, told("/v1/prompts/{name}/versions", "listVersions", "List versions, newest first; the header `Link` has the next page"), Json, prompts::versions),
        reads(GET, told("/v1/prompts/{name}/versions/{number}", "getVersion", "Read a version"), Json, prompts::version),
        writes(POST, told("/v1/prompts/{name}/render", "renderPrompt", "See what an execution would send"), Json, prompts::render),
        writes(PUT, told("/v1/prompts/{name}/active", "setActiveVersion", "Make a version the active one").on(Matching), Json, labels::activate),
        writes(PUT, told("/v1/prompts/{name}/labels/{label}", "setLabel", "Point a label at a version").on(Matching), Json, labels::set),
        reads(DELETE, told("/v1/prompts/{name}/labels/{label}", "removeLabel", "Remove a label").on(Matching), Json, labels::remove),
        writes(PUT, told("/v1/prompts/{name}/versions/{number}/status", "setVersionStatus", "Give a version a status").on(Matching), Json, labels::set_status),
        writes(POST, told("/v1/prompts/{name}/archive", "archivePrompt", "Archive a prompt: it can be read, not written or executed").on(Matching), Json, labels::archive),
        writes(POST, told("/v1/prompts/{name}/unarchive", "unarchivePrompt", "Take a prompt out of the archive").on(Matching), Json, labels::unarchive),
        writes(POST, told("/v1/prompts/{name}/migrate", "migratePromptMode", "Move a prompt to the other mode").on(Matching), Json, labels::migrate),

        writes(POST, told("/v1/executions:run", "runExecution", "Execute, and answer with the end; a failed execution is 200"), Json, executions::run),
        writes(POST, told("/v1/executions/run", "runExecutionByPath", "The same as executions:run"), Json, executions::run),
        writes(POST, told("/v1/executions:submit", "submitExecution", "Put an execution into the queue"), Accepted, executions::submit),
        writes(POST, told("/v1/executions/submit", "submitExecutionByPath", "The same as executions:submit"), Accepted, executions::submit),
        writes(POST, told("/v1/executions:stream", "streamExecution", "Execute, and stream states and text"), Stream, executions::stream),
        writes(POST, told("/v1/executions/stream", "streamExecutionByPath", "The same as executions:stream"), Stream, executions::stream),
        reads(GET, told("/v1/executions/{id}", "getExecution", "Read an execution, or wait for its end"), Json, executions::get),
        reads(GET, told("/v1/executions", "listExecutions", "List executions, newest first"), Json, executions::list),
        reads(GET, told("/v1/executions/{id}/events", "watchExecution", "Watch an execution"), Stream, streams::watch),
        reads(GET, told("/v1/executions/events", "watchExecutions", "Watch executions"), Stream, streams::watch_all),
        writes(POST, told("/v1/executions/{id}/cancel", "cancelExecution", "Cancel an execution"), Json, executions::cancel),
        reads(GET, told("/v1/executions/{id}/verify", "verifyExecution", "Check that an execution sent what its version renders to"), Json, executions::verify),

        writes(POST, told("/v1/prompts/register-code", "registerCodePrompts", "Register prompts that live in code"), Json, code::register),
        reads(GET, told("/v1/prompts/register-code", "getPromptRegisterCode", "Read the prompt of this name, as any other").on(Changed), Json, prompts::get),
        writes(PUT, told("/v1/prompts/register-code", "putPromptRegisterCode", "Write the prompt of this name, as any other").on(MatchingOrNew), Json, prompts::put),
        writes(PATCH, told("/v1/prompts/register-code", "updatePromptRegisterCode", "Change what describes the prompt of this name, as any other").on(Matching), Json, prompts::patch),
        reads(GET, told("/v1/prompts/events", "watchPrompts", "Watch prompts"), PromptStream, streams::watch_prompts),
        writes(PUT, told("/v1/prompts/events", "putPromptEvents", "Write the prompt of this name, as any other").on(MatchingOrNew), Json, prompts::put),
        writes(PATCH, told("/v1/prompts/events", "updatePromptEvents", "Change what describes the prompt of this name, as any other").on(Matching), Json, prompts::patch),
        writes(POST, told("/v1/prompts/{name}/execute", "executeCodePrompt", "Execute a prompt that lives in code; 202 where `mode` is async, a stream where it is stream"), Either, code::execute),
        reads(GET, told("/v1/prompts/{name}/history", "getPromptHistory", "Read a prompt's versions with their use"), Json, prompts::history),
        reads(GET, told("/v1/prompts/{name}/changes", "listChangesOfPrompt", "Read the change log of a prompt"), Json, prompts::changes),
        reads(GET, told("/v1/changes", "listChanges", "Read the change log of the project"), Json, prompts::changes),

        reads(GET, told("/v1/analytics/prompts", "getPromptAnalytics", "Count prompts and executions by mode"), Json, analytics::prompts),
        reads(GET, told("/v1/analytics/usage", "queryUsage", "Read figures by prompt, version, model, environment, status, mode and time"), Json, analytics::usage),
        reads(GET, told("/v1/models", "listModels", "List models and their prices"), Json, models::list),
        writes(PUT, told("/v1/models/{provider}/{*model}", "putModel", "Register or change a model"), Json, models::put),
    ]
}

/// All routes of `/v1`.
pub(super) fn router() -> Router<Arc<V1State>> {
    rows().into_iter().fold(Router::new(), |router, row| router.route(row.path, row.route))
}

/// Their description.
pub(super) fn described() -> OpenApi {
    rows().into_iter().fold(super::openapi::head(), |mut all, row| {
        let RowDescription { operation, schemas } = (row.describe)();
        all.paths.add_path_operation(row.path, vec![row.method], operation);
        all.components.get_or_insert_with(Components::new).schemas.extend(schemas);
        all
    })
}
