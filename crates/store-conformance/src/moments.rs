//! Figures while executions begin, change and end, and are moved into rollups: each result is one snapshot.

use std::cell::Cell;
use std::time::Duration;

use futures::future::join_all;
use prompt_ledger_domain::execution::Status;
use prompt_ledger_domain::ids::ExecutionId;
use prompt_ledger_store::{
    Analytics, Ended, ExecutionWriter, Maintenance, NewExecution, Requeue, RollupPolicy, Split, UsageFilter, UsageRow,
};
use tokio::sync::Notify;

use crate::kit::{Backend, an_execution, claim, fence, finish, holder, new_id, now, run, start, submit, success};
use crate::recount::{all, assert_recounted, figures};
use crate::usage::BY_NOTHING;

/// Number of executions before the test, created ten seconds apart.
const MANY: usize = 200;

const BY_STATUS: Split = Split { status: true, ..BY_NOTHING };

/// Counts of writes begun and completed: a figure must lie between them.
#[derive(Default)]
struct Bounds {
    begun: Cell<i64>,
    acknowledged: Cell<i64>,
}

impl Bounds {
    async fn count<T>(&self, happens: impl Future<Output = T>) -> T {
        self.begun.update(|count| count + 1);
        let answer = happens.await;
        self.acknowledged.update(|count| count + 1);
        answer
    }

    fn hold(&self, acknowledged: i64, told: i64) {
        assert!((acknowledged..=self.begun.get()).contains(&told), "{told} of {acknowledged} to {:?}", self.begun);
    }
}

#[derive(Default)]
struct Lives {
    recorded: Bounds,
    ended: Bounds,
}

pub async fn figures_are_of_one_moment_whatever_is_under_way<B: Backend>(backend: &B) {
    let (first, lives) = (an_execution(backend).await, Lives::default());
    let old: Vec<_> = (0..MANY).map(|_| NewExecution { id: ExecutionId(new_id()), ..first.clone() }).collect();
    join_all(old.iter().enumerate().map(|(place, new)| {
        lives.recorded.count(async move {
            if place % 2 == 0 {
                start(backend, new).await;
            } else {
                submit(backend, new).await;
            }
        })
    }))
    .await;
    for (place, new) in (1..).zip(&old) {
        let at = B::timestamp(now().0 - place * 10_000_000);
        backend.execute(format!("UPDATE executions SET created_at = {at} WHERE id = '{}'", new.id)).await.unwrap();
    }
    let (over, happened) = (Cell::new(false), Notify::new());
    let happen = async {
        for place in 0..MANY {
            // Not in the order of creation.
            let place = place * 7 % MANY;
            live(backend, &old[place], place % 2 == 1, &lives).await;
            let young = NewExecution { id: ExecutionId(new_id()), ..first.clone() };
            lives.recorded.count(start(backend, &young)).await;
            happened.notify_one();
        }
        over.set(true);
        happened.notify_one();
    };
    let move_them = async {
        let policy = RollupPolicy { keep: Duration::ZERO, crowd: 1, ..RollupPolicy::default() };
        while !over.get() {
            while backend.store().roll_up(policy).await.unwrap() {}
            happened.notified().await;
        }
    };
    let observe = async {
        while !over.get() {
            observe(backend, &first, &lives).await;
        }
    };
    futures::join!(happen, move_them, observe);
    run(backend, &NewExecution { id: ExecutionId(new_id()), ..first.clone() }).await;
    let executions = all(backend, first.project_id).await;
    assert_eq!(executions.len(), 2 * MANY + 1);
    let found = figures(backend, first.project_id, &UsageFilter::default(), BY_STATUS, 9).await;
    assert_recounted(&found, &executions, &UsageFilter::default(), BY_STATUS);
}

async fn live<B: Backend>(backend: &B, new: &NewExecution, queued: bool, lives: &Lives) {
    let mut attempt = 1;
    if queued {
        claim(backend, new, 1, holder()).await.unwrap();
        let back = Requeue { ended: Ended::default(), after: Duration::ZERO, handed_back: true };
        backend.store().requeue(fence(new.id, 1), back).await.unwrap().unwrap();
        claim(backend, new, 2, holder()).await.unwrap();
        attempt = 2;
    }
    lives.ended.count(finish(backend, new, attempt, success())).await;
}

async fn observe<B: Backend>(backend: &B, first: &NewExecution, lives: &Lives) {
    let (store, any) = (backend.store(), UsageFilter::default());
    for by_status in [false, true] {
        let (recorded, ended) = (lives.recorded.acknowledged.get(), lives.ended.acknowledged.get());
        let rows = match by_status {
            true => store.usage(first.project_id, &any, BY_STATUS, None, 9).await.unwrap(),
            false => store.overview(first.project_id, &any).await.unwrap().1,
        };
        let sum = |of: fn(&UsageRow) -> i64| rows.iter().map(of).sum::<i64>();
        lives.recorded.hold(recorded, sum(|row| row.tally.executions));
        lives.ended.hold(ended, sum(|row| row.succeeded));
        for row in &rows {
            assert_eq!(row.tally.prompt_tokens, 10 * row.succeeded, "{row:?}");
            assert_eq!(row.tally.cost, 4_500 * i128::from(row.succeeded), "{row:?}");
            let ended = [(Status::Succeeded, row.tally.executions), (Status::Queued, 0), (Status::Running, 0)];
            let ended = ended.into_iter().find(|(status, _)| row.key.status == Some(*status));
            assert!(ended.is_none_or(|(_, ended)| row.succeeded == ended), "{row:?}");
        }
    }
}
