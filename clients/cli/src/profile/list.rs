use clap::Args;
use prompt_ledger_client::without_user;
use serde_json::json;

use super::file::{ProfileFile, StoredProfile};
use super::in_use::source;
use super::variable;
use crate::connection::ConnectionArgs;
use crate::failure::CommandError;
use crate::output::{AnswerFormat, Output};
use crate::style::Tone;
use crate::table::{Cell, Table, TableColumn};

/// Lists the profiles.
#[derive(Args)]
#[command(after_help = "Examples:
  ledgerctl profile list
  ledgerctl profile list --json | jq -r .profiles[].server

Keys are never shown. Under --json and --jsonl the answer has `file`, `profiles` (each with `name`, `server`, `project`, `has_key`, \
`tls_ca`, `tls_cert`) and `used` (`from`: arguments, environment, profile or development; `profile`).")]
pub(super) struct ProfileListArgs {}

impl ProfileListArgs {
    pub(super) fn run(
        self,
        connection: &ConnectionArgs,
        file: &ProfileFile,
        output: &mut Output<'_>,
    ) -> Result<(), CommandError> {
        let names = file.names();
        let used = source(connection, &variable, &names);
        // A URL that was written by hand may hold a password.
        let shown =
            |profile: StoredProfile| StoredProfile { server: profile.server.as_deref().map(without_user), ..profile };
        let profiles = || names.iter().filter_map(|name| Some((name, shown(file.get(name)?))));
        if output.format != AnswerFormat::Text {
            let profiles: Vec<_> = profiles()
                .map(|(name, profile)| {
                    json!({
                        "name": name, "server": profile.server, "project": profile.project, "has_key": profile.api_key.is_some(),
                        "tls_ca": profile.tls_ca, "tls_cert": profile.tls_cert,
                    })
                })
                .collect();
            let used = json!({"from": used.word(), "profile": used.profile()});
            let answer = json!({"file": file.path.display().to_string(), "profiles": profiles, "used": used});
            return Ok(output.json(&answer)?);
        }
        if names.is_empty() {
            output.note(&format!(
                "no profiles in {}: ledgerctl profile add NAME --server URL makes one",
                file.path.display()
            ));
        } else {
            let mut table = Table::new(&[
                TableColumn::Left(""),
                TableColumn::Left("NAME"),
                TableColumn::Left("SERVER"),
                TableColumn::Left("PROJECT"),
                TableColumn::Left("KEY"),
                TableColumn::Left("TLS"),
            ]);
            for (name, profile) in profiles() {
                let is_used = used.profile() == Some(name);
                let tls = [("ca", &profile.tls_ca), ("certificate", &profile.tls_cert)];
                let tls: Vec<&str> = tls.iter().filter(|(_, file)| file.is_some()).map(|(name, _)| *name).collect();
                table.row(vec![
                    Cell::new(Tone::Good, if is_used { "*" } else { "" }),
                    Cell::new(Tone::Strong, name.as_str()),
                    profile.server.unwrap_or_default().into(),
                    profile.project.unwrap_or_default().into(),
                    Cell::new(Tone::Dim, if profile.api_key.is_some() { "kept" } else { "-" }),
                    Cell::new(Tone::Dim, tls.join(" ")),
                ]);
            }
            output.table(&table)?;
        }
        output.note(&used.told(|name| names.iter().any(|known| known == name)));
        Ok(())
    }
}
