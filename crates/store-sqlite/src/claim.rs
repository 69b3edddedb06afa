//! Claims: a queued execution becomes running, and the claimant holds its next attempt.

use std::sync::LazyLock;

use prompt_ledger_domain::ids::ClaimId;
use prompt_ledger_domain::{Result, Timestamp};
use rusqlite::{Connection, ToSql};

use super::statement::{Script, parameters};
use super::{now, row};
use prompt_ledger_store::rows::claimed;
use prompt_ledger_store::rows::count;
use prompt_ledger_store::{CAPABILITY, Claimed, Fence, Holder};

/// Everything running under the claim. `completed_at IS NULL` in `sql/of_claim.sql` repeats the condition of the
/// partial index, without which SQLite does not use it.
macro_rules! claimed {
    () => {
        concat!(include_str!("sql/claimed.sql"), include_str!("sql/of_claim.sql"))
    };
}

/// Claims the executions that `$which` selects, inserts their events, and returns everything claimed.
macro_rules! claim {
    ($which:literal) => {
        concat!(
            include_str!("sql/claim.sql"),
            include_str!($which),
            include_str!("sql/claim_event.sql"),
            include_str!("sql/of_claim.sql"),
            ";\n",
            claimed!()
        )
    };
}

static HINTED: LazyLock<Script> = LazyLock::new(|| Script::new(claim!("sql/hinted.sql"), HintedParameters::NAMES));

parameters! {
    /// `next` is a JSON array of [id, attempt], `providers` one of names.
    HintedParameters(next: &str, providers: &str, holder: &Holder, at: Timestamp) {
        next = next,
        providers = providers,
        worker = &holder.worker,
        claim_id = holder.claim_id.to_string(),
        lease_until = at.after(holder.lease).0,
        at = at.0,
        capability = CAPABILITY,
    }
}

static DUE: LazyLock<Script> = LazyLock::new(|| Script::new(claim!("sql/due.sql"), DueParameters::NAMES));

parameters! {
    /// At most `limit` executions, oldest `available_at` first: as many of each of `providers`, a JSON array of names,
    /// and of these the oldest. Each provider has its part of the index, so that what waits for others is not read.
    DueParameters(limit: usize, providers: &str, holder: &Holder, at: Timestamp) {
        most = count(limit),
        providers = providers,
        worker = &holder.worker,
        claim_id = holder.claim_id.to_string(),
        lease_until = at.after(holder.lease).0,
        at = at.0,
        capability = CAPABILITY,
    }
}

static ANY_DUE: LazyLock<Script> = LazyLock::new(|| {
    let sql = include_str!("sql/any_due.sql");
    Script::new(sql, &["providers", "at", "capability"])
});

static CLAIMED: LazyLock<Script> = LazyLock::new(|| Script::new(claimed!(), ClaimedParameters::NAMES));

parameters! {
    ClaimedParameters(claim: ClaimId) {
        claim_id = claim.to_string(),
    }
}

/// `providers` is a JSON array of names, as in [`due`] and [`any_due`].
pub(super) fn hinted(
    connection: &Connection,
    next: &[Fence],
    providers: &str,
    holder: &Holder,
) -> Result<Vec<Claimed>> {
    let pairs: Vec<_> = next.iter().map(|fence| (fence.id.to_string(), fence.attempt)).collect();
    let (next, at) = (row::to_json(&pairs)?, now());
    HINTED.rows(connection, HintedParameters::values(&next, providers, holder, at), |row| claimed::claimed(row, at))
}

pub(super) fn due(connection: &Connection, limit: usize, providers: &str, holder: &Holder) -> Result<Vec<Claimed>> {
    let at = now();
    DUE.rows(connection, DueParameters::values(limit, providers, holder, at), |row| claimed::claimed(row, at))
}

/// Whether [`due`] would find any. Runs on a read connection, because usually there is none.
pub(super) fn any_due(connection: &Connection, providers: &str) -> Result<bool> {
    let any =
        ANY_DUE.row(connection, [&providers as &dyn ToSql, &now().0, &CAPABILITY], |row| row::value(row, "any"))?;
    Ok(any.unwrap_or_default())
}

/// The executions running under this claim.
pub(super) fn of(connection: &Connection, claim: ClaimId) -> Result<Vec<Claimed>> {
    let at = now();
    CLAIMED.rows(connection, ClaimedParameters::values(claim), |row| claimed::claimed(row, at))
}

#[cfg(test)]
pub(super) fn scripts() -> [&'static Script; 4] {
    [&HINTED, &DUE, &ANY_DUE, &CLAIMED]
}
