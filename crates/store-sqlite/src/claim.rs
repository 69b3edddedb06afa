//! Claims: a queued execution becomes running, and the claimant holds its next attempt.

use std::sync::LazyLock;

use prompt_ledger_domain::ids::ClaimId;
use prompt_ledger_domain::{Result, Timestamp};
use prompt_ledger_store::parameters;
use prompt_ledger_store::parameters::numbered;
use sqlx::SqliteConnection;

use super::{error, now, row};
use prompt_ledger_store::rows::claimed;
use prompt_ledger_store::rows::count;
use prompt_ledger_store::{CAPABILITY, Claimed, Fence, Holder};

/// Everything running under the claim. `status <> 'succeeded'` in `sql/of_claim.sql` repeats the condition of the
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

static HINTED: LazyLock<String> = LazyLock::new(|| numbered(claim!("sql/hinted.sql"), HintedParameters::NAMES));

parameters! {
    /// `next` is a JSON array of [id, attempt].
    HintedParameters(next: String, holder: &Holder, at: Timestamp) of sqlx::Sqlite {
        next = next,
        worker = &holder.worker,
        claim_id = holder.claim_id.to_string(),
        lease_until = at.after(holder.lease).0,
        at = at.0,
        capability = CAPABILITY,
    }
}

static DUE: LazyLock<String> = LazyLock::new(|| numbered(claim!("sql/due.sql"), DueParameters::NAMES));

parameters! {
    /// At most `limit` executions, oldest `available_at` first.
    DueParameters(limit: usize, holder: &Holder, at: Timestamp) of sqlx::Sqlite {
        most = count(limit),
        worker = &holder.worker,
        claim_id = holder.claim_id.to_string(),
        lease_until = at.after(holder.lease).0,
        at = at.0,
        capability = CAPABILITY,
    }
}

pub(super) const ANY_DUE: &str =
    "SELECT EXISTS (SELECT 1 FROM executions WHERE status = 'queued' AND available_at <= $1 AND needs <= $2)";

pub(super) static CLAIMED: LazyLock<String> = LazyLock::new(|| numbered(claimed!(), ClaimedParameters::NAMES));

parameters! {
    ClaimedParameters(claim: ClaimId) of sqlx::Sqlite {
        claim_id = claim.to_string(),
    }
}

pub(super) async fn hinted(connection: &mut SqliteConnection, next: &[Fence], holder: &Holder) -> Result<Vec<Claimed>> {
    let pairs: Vec<_> = next.iter().map(|fence| (fence.id.to_string(), fence.attempt)).collect();
    let at = now();
    let query = HintedParameters::query(&HINTED, row::to_json(&pairs)?, holder, at);
    let rows = query.fetch_all(connection).await.map_err(error::store)?;
    rows.iter().map(|row| claimed::claimed(row, at)).collect()
}

pub(super) async fn due(connection: &mut SqliteConnection, limit: usize, holder: &Holder) -> Result<Vec<Claimed>> {
    let at = now();
    let query = DueParameters::query(&DUE, limit, holder, at);
    let rows = query.fetch_all(connection).await.map_err(error::store)?;
    rows.iter().map(|row| claimed::claimed(row, at)).collect()
}

/// Whether [`due`] would find any. Runs on a read connection, because usually there is none.
pub(super) async fn any_due(connection: &mut SqliteConnection) -> Result<bool> {
    sqlx::query_scalar(ANY_DUE).bind(now().0).bind(CAPABILITY).fetch_one(connection).await.map_err(error::store)
}

/// The executions running under this claim.
pub(super) async fn of(connection: &mut SqliteConnection, claim: ClaimId) -> Result<Vec<Claimed>> {
    let query = ClaimedParameters::query(&CLAIMED, claim);
    let rows = query.fetch_all(connection).await.map_err(error::store)?;
    let at = now();
    rows.iter().map(|row| claimed::claimed(row, at)).collect()
}
