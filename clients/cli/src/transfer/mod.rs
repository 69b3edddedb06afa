//! Prompts on their way from one ledger to another, as a file of JSON lines.

mod export;
mod export_counts;
mod import;
mod import_batches;
mod import_file;
mod import_report;

pub(crate) use export::ExportArgs;
pub(crate) use import::ImportArgs;
