//! Random histories: figures equal a recount after any sequence of writes and rollup steps.

use std::time::Duration;

use prompt_ledger_domain::execution::{ExecutionMode, Status};
use prompt_ledger_domain::ids::{ExecutionId, ProjectId};
use prompt_ledger_domain::model::{ModelRef, Usage};
use prompt_ledger_domain::prompt::Mode;
use prompt_ledger_domain::usage::{Bucket, UtcOffset};
use prompt_ledger_domain::{Timestamp, error::Reason};
use prompt_ledger_store::{
    Analytics, Ended, ExecutionReader, ExecutionWriter, Finish, Maintenance, NewExecution, PromptChange, PutResult,
    Requeue, RollupPolicy, Split, UsageFilter,
};

use crate::kit::{
    Backend, ChangePrompt, OpenTransaction, claim, dead, execution_of, fence, holder, new_id, now, put, put_active,
    register, success,
};
use crate::recount::{all, assert_recounted, figures};

/// A pseudo-random generator, deterministic by its seed.
struct Dice(u64);

impl Dice {
    /// A number from 0 (inclusive) to `sides` (exclusive).
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }

    fn pick<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[usize::try_from(self.roll(all.len() as u64)).unwrap()]
    }

    fn maybe<T>(&mut self, value: impl FnOnce(&mut Self) -> T) -> Option<T> {
        (self.roll(3) > 0).then(|| value(self))
    }

    fn count(&mut self, sides: u64) -> i32 {
        i32::try_from(self.roll(sides)).unwrap()
    }
}

struct History<'b, B: Backend> {
    backend: &'b B,
    dice: Dice,
    project: ProjectId,
    versions: Vec<PutResult>,
    made: Vec<ExecutionId>,
    /// The current mode of the prompt `greet`.
    greet: Mode,
    late: Option<Late>,
    /// The simulated time, in microseconds since 1970.
    at: i64,
    began: i64,
    /// Time before which executions were moved into rollups.
    rolled_up: i64,
}

/// An execution whose transaction stays open for `steps` more steps.
struct Late {
    id: ExecutionId,
    transaction: Box<dyn OpenTransaction>,
    steps: u64,
}

/// Number of steps of one history.
const STEPS: u64 = 200;

pub async fn figures_are_a_recount_at_any_moment<B: Backend>(backend: &B) {
    for seed in 1..=3 {
        let mut history = History::begin(backend, seed).await;
        for step in 0..STEPS {
            history.step().await;
            if step % 8 == 7 {
                history.compare().await;
            }
        }
    }
}

impl<'b, B: Backend> History<'b, B> {
    async fn begin(backend: &'b B, seed: u64) -> Self {
        let mut versions = Vec::new();
        // `put_prompt` writes full-mode prompts only.
        backend.execute("UPDATE prompts SET mode = 'full'".into()).await.unwrap();
        for (name, template) in [("greet", "A"), ("ask", "A"), ("code", "A")] {
            versions.push(register(backend, put_active(name, &format!("{template}{seed}"))).await);
        }
        versions.push(register(backend, put("greet", &format!("B{seed}"))).await);
        let code = "UPDATE prompts SET mode = 'tracking' WHERE name = 'code'";
        backend.execute(code.into()).await.unwrap();
        // Each history begins after the end of the previous one.
        let began = now().0 - i64::try_from(40 - 10 * seed).unwrap() * Bucket::Day.micros();
        let project = backend.default_project().await;
        Self {
            backend,
            dice: Dice(seed),
            project,
            versions,
            made: Vec::new(),
            greet: Mode::Full,
            late: None,
            at: began,
            began,
            rolled_up: began,
        }
    }

    async fn step(&mut self) {
        match self.dice.roll(13) {
            0..=3 => self.record().await,
            4..=6 => self.go_on().await,
            7 => self.wait(),
            8 | 9 => self.roll_up().await,
            10 => self.dawdle().await,
            11 => self.migrate().await,
            _ => {
                self.backend.store().expire(Duration::ZERO).await.unwrap();
            }
        }
        self.catch_up().await;
    }

    async fn roll_up(&mut self) {
        let crowd = *self.dice.pick(&[1, 3, 1_000]);
        if self.late.is_none() {
            let until = self.backend.roll_up_until(Timestamp(self.at), crowd).await;
            // Nothing is recorded in what is rolled up.
            self.at = self.at.max(until.0);
            self.rolled_up = self.at;
            return;
        }
        let policy = RollupPolicy { settle: Duration::ZERO, keep: now().since(Timestamp(self.at)), crowd };
        for _ in 0..3 {
            self.backend.store().roll_up(policy).await.unwrap();
        }
    }

    /// Records a copy of an existing execution in a transaction that stays open.
    async fn dawdle(&mut self) {
        if self.made.is_empty() || self.late.is_some() {
            return;
        }
        let (of, id) = (*self.dice.pick(&self.made), ExecutionId(new_id()));
        let passed = u64::try_from(self.at - self.rolled_up).unwrap() + 1;
        let at = B::timestamp(self.rolled_up + i64::try_from(self.dice.roll(passed)).unwrap());
        let copy = |table: &str, key: &str, and: &str| {
            format!(
                "INSERT INTO {table} SELECT (y.x).* FROM (
                    SELECT jsonb_populate_record(e, jsonb_build_object('{key}', '{id}'{and})) AS x
                    FROM {table} e WHERE e.{key} = '{of}') y;"
            )
        };
        let row = copy("executions", "id", &format!(", 'created_at', {at}"));
        let Some(transaction) = self.backend.begun(row + &copy("execution_inputs", "execution_id", "")).await else {
            return;
        };
        // Removes the rollup job's mark: it has the real time, and all simulated times are earlier.
        let unmark = "UPDATE usage_rolled_up SET marked_at = NULL, marked_xid = NULL";
        self.backend.execute(unmark.into()).await.unwrap();
        self.late = Some(Late { id, transaction, steps: 1 + self.dice.roll(8) });
    }

    /// Commits the open transaction once its steps are over, or drops it.
    async fn catch_up(&mut self) {
        let Some(late) = self.late.take() else { return };
        if late.steps > 0 {
            self.late = Some(Late { steps: late.steps - 1, ..late });
        } else if self.dice.roll(4) > 0 {
            self.compare().await;
            late.transaction.commit().await;
            self.made.push(late.id);
            self.compare().await;
        }
    }

    async fn migrate(&mut self) {
        self.greet = if self.greet == Mode::Full { Mode::Tracking } else { Mode::Full };
        self.backend
            .store()
            .change_prompt(self.project, "greet", None, PromptChange::Migrate(self.greet))
            .await
            .unwrap();
    }

    /// Advances the simulated time: mostly by seconds, sometimes by hours or a day.
    fn wait(&mut self) {
        let most = *self.dice.pick(&[3_000_000, 3_000_000, 90_000_000, 90_000_000, 7_200_000_000, 100_000_000_000]);
        self.at += i64::try_from(self.dice.roll(most)).unwrap();
    }

    async fn record(&mut self) {
        let version = self.dice.pick(&self.versions).clone();
        let model = ["a", "b"].map(|model| ModelRef { provider: "openai".into(), model_name: model.into() });
        let prompt_mode = match &*version.prompt.name {
            "greet" => self.greet,
            "code" => Mode::Tracking,
            _ => Mode::Full,
        };
        let new = NewExecution {
            prompt_mode,
            must_be_active: false,
            environment: (*self.dice.pick(&["dev", "prod"])).into(),
            model: self.dice.pick(&model).clone(),
            expire_after: (self.dice.roll(5) == 0).then_some(Duration::from_micros(1)),
            max_retries: 2,
            ..execution_of(self.project, &version)
        };
        let store = self.backend.store();
        match self.dice.roll(3) {
            0 => drop(store.start(new.clone(), holder()).await.unwrap()),
            1 => drop(store.start(new.clone(), dead()).await.unwrap()),
            _ => drop(store.submit(new.clone(), Duration::ZERO).await.unwrap()),
        }
        self.at += i64::try_from(self.dice.roll(1_500_000)).unwrap();
        let at = B::timestamp(self.at);
        let moved = format!("UPDATE executions SET created_at = {at} WHERE id = '{}'", new.id);
        self.backend.execute(moved).await.unwrap();
        self.made.push(new.id);
    }

    fn ended(&mut self) -> Ended {
        let usage = Usage {
            prompt_tokens: self.dice.maybe(|dice| dice.count(1_000)),
            response_tokens: self.dice.maybe(|dice| dice.count(1_000)),
            ..Usage::default()
        };
        let latency = self.dice.maybe(|dice| Duration::from_millis(dice.roll(1 << 20)));
        Ended { usage, latency, ..Ended::default() }
    }

    /// Changes the state of a random execution.
    async fn go_on(&mut self) {
        if self.made.is_empty() {
            return;
        }
        let (id, store) = (*self.dice.pick(&self.made), self.backend.store());
        let found = store.get(self.project, id).await.unwrap();
        let held = fence(id, found.attempts);
        match (found.status, self.dice.roll(6)) {
            (_, 0) => {
                let canceled = store.cancel(self.project, id, "").await;
                assert!(canceled.is_ok() || canceled.unwrap_err().reason() == Reason::ExecutionFinished);
            }
            (Status::Queued, _) => {
                let version = self.versions[0].clone();
                let new = NewExecution { id, ..execution_of(self.project, &version) };
                let who = if self.dice.roll(3) == 0 { dead() } else { holder() };
                claim(self.backend, &new, found.attempts + 1, who).await.unwrap();
            }
            (Status::Running, 1) if found.mode == ExecutionMode::Async => {
                let handed_back = self.dice.roll(2) == 0;
                let back = Requeue { ended: self.ended(), after: Duration::ZERO, handed_back };
                store.requeue(held, back).await.unwrap().unwrap();
            }
            (Status::Running, 1) => {
                let ended = self.ended();
                store.retry(held, ended, Duration::ZERO, holder()).await.unwrap().unwrap();
            }
            (Status::Running, _) => {
                let finish = Finish {
                    status: *self.dice.pick(&[Status::Succeeded, Status::Succeeded, Status::Failed, Status::Canceled]),
                    ended: self.ended(),
                    cost_nano_usd: self.dice.maybe(|dice| i64::from(dice.count(1_000_000))),
                    ..success()
                };
                store.finish(held, finish).await.unwrap().unwrap();
            }
            _ => {}
        }
    }

    /// A random simulated time, rounded down to an interval; sometimes none.
    fn edge(&mut self) -> Option<Timestamp> {
        let within = u64::try_from(self.at - self.began).unwrap() + 2 * 60_000_000;
        let at = self.began + i64::try_from(self.dice.roll(within)).unwrap() - 60_000_000;
        let edge = *self.dice.pick(&[1, 10_000_000, 60_000_000, 3_600_000_000, 86_400_000_000]);
        self.dice.maybe(|_| Timestamp(at - at.rem_euclid(edge)))
    }

    fn question(&mut self) -> (UsageFilter, Split) {
        let prompt_name = (*self.dice.pick(&["", "", "greet", "code"])).to_owned();
        let filter = UsageFilter {
            mode: *self.dice.pick(&[None, None, Some(Mode::Full), Some(Mode::Tracking)]),
            version_number: if prompt_name.is_empty() { None } else { *self.dice.pick(&[None, Some(1)]) },
            prompt_name,
            provider: (*self.dice.pick(&["", "openai"])).into(),
            model: (*self.dice.pick(&["", "", "a"])).into(),
            environment: (*self.dice.pick(&["", "", "prod"])).into(),
            start_time: self.edge(),
            end_time: self.edge(),
        };
        let mut coin = || self.dice.roll(3) == 0;
        let (mode, prompt, version, model, environment, status) = (coin(), coin(), coin(), coin(), coin(), coin());
        let bucket = *self.dice.pick(&[None, Some(Bucket::Minute), Some(Bucket::Hour), Some(Bucket::Day)]);
        let utc_offset = UtcOffset::from_minutes(*self.dice.pick(&[0, 0, 60, -300, 330])).unwrap();
        (filter, Split { bucket, utc_offset, mode, prompt, version, model, environment, status })
    }

    async fn compare(&mut self) {
        let executions = all(self.backend, self.project).await;
        for _ in 0..6 {
            let (filter, split) = self.question();
            let size = *self.dice.pick(&[2, 7, 500]);
            let found = figures(self.backend, self.project, &filter, split, size).await;
            assert_recounted(&found, &executions, &filter, split);
            let (_, modes) = self.backend.store().overview(self.project, &filter).await.unwrap();
            let by_mode = Split { mode: true, ..Split::default() };
            assert_recounted(&modes, &executions, &filter, by_mode);
        }
    }
}
