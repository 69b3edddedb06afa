//! RunExecution beside a direct call of the same model, in one run: through `dev` (SQLite) and through a server on Postgres
//! with Redis, everything on.
//!
//! Between them stands the *floor*: a bare server that keeps two durable records of a page and nothing else.
//!
//! Callers are a closed loop: each calls again as soon as it was answered. Direct, floor, `dev` and Postgres take turns within
//! each round, so that what else this machine does meets all three. Quantiles and rates are medians of the rounds; what is
//! *added* is a quantile through the server less the same quantile of the direct calls. Callers, model, server and
//! database share the machine.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use prompt_ledger_testkit::fake_model::FakeModel;
use prompt_ledger_testkit::services::{Postgres, Redis};

use super::bench::{Bench, ROUND, Setup};
use super::direct::Direct;
use super::floor::Floor;
use super::load::{Times, median};
use super::main_job::at;
use super::production::cpu_seconds;
use super::release::{FigureError, release_binaries};
use super::{disk, frontier, machine};
use xtask::{CommandOutcome, install};

const ROUNDS: usize = 3;
const WARM_UP: Duration = Duration::from_millis(500);
const SYNCS: usize = 300;
/// Of syncs and readings that come as far apart as the model's answers.
const RESTED: usize = 50;

/// The target of a line, given the time of one fdatasync in milliseconds.
type Aim = fn(f64) -> String;

/// Callers, the model's milliseconds, and the targets of `dev` and of Postgres.
const TABLE: [(usize, u64, [Aim; 2]); 4] = [
    (
        1,
        20,
        [
            |f| format!("added p50 2F + 0.55 = {:.2}", 2.0 * f + 0.55),
            |f| format!("added p50 2F + 1.2 = {:.2}", 2.0 * f + 1.2),
        ],
    ),
    (
        1,
        0,
        [
            |f| format!("added p50 2F + 0.35 = {:.2}", 2.0 * f + 0.35),
            |f| format!("added p50 2F + 0.95 = {:.2}", 2.0 * f + 0.95),
        ],
    ),
    (16, 20, [|_| "added p50 0.9, p99 4; CPU 0.15, 0.18 accepted".into(), |_| "added p50 1.5, p99 6; CPU 0.2".into()]),
    (16, 0, [|_| "6000 /s, p99 6; CPU 0.15, 0.18 accepted".into(), |_| "3000 /s; CPU 0.2".into()]),
];

pub(super) async fn run() -> CommandOutcome {
    measure().await.map_err(|error| error.to_string())?;
    Ok(ExitCode::SUCCESS)
}

async fn measure() -> Result<(), FigureError> {
    install::services().map_err(|error| error.to_string())?;
    let binaries = release_binaries(&["prompt-ledger-server"])?;
    let (postgres, redis, model) = tokio::join!(Postgres::start(), Redis::start(), FakeModel::start());
    let direct = Direct::connect(&model, frontier::MOST_CALLERS).await?;
    let floor = Floor::start(&model, frontier::MOST_CALLERS).await?;
    let setups =
        [Setup::dev(&binaries, &model, &[]).await?, Setup::postgres(&binaries, &model, &postgres, &redis, &[]).await?];
    let bench = Bench { model, direct, floor, setups };
    bench.model_takes(0);
    bench.direct(16, WARM_UP).await?;
    bench.floor.calls(16, WARM_UP).await?;
    for setup in &bench.setups {
        setup.executions(16, WARM_UP).await?;
        setup.prompts(16, WARM_UP).await?;
    }
    println!("{} cores, {:.2} of them taken by others before the run", machine::cores(), machine::cores_taken().await?);
    table(&bench).await?;
    frontier::run(&bench).await?;
    reads(&bench).await?;
    println!("{:.2} cores taken by others after the run", machine::cores_taken().await?);
    Ok(())
}

/// The rounds of one line, and the CPU time that one process used in them.
#[derive(Default)]
struct Line {
    rounds: Vec<Times>,
    cpu_seconds: f64,
}

impl Line {
    fn rate(&self) -> f64 {
        median(self.rounds.iter().map(Times::rate).collect())
    }

    /// Milliseconds of CPU per call.
    fn cpu(&self) -> f64 {
        self.cpu_seconds * 1_000.0 / self.rounds.iter().map(Times::calls).sum::<f64>()
    }

    /// With what it adds to the direct calls.
    fn beside(&self, name: &str, direct: &Self) -> String {
        let added = |quantile| at(&self.rounds, quantile) - at(&direct.rounds, quantile);
        let (p50, p99) = (added(0.5), added(0.99));
        format!("{}; added p50 {p50:.2} ms, p99 {p99:.2} ms; CPU {:.3} ms a call", self.say(name), self.cpu())
    }

    fn say(&self, name: &str) -> String {
        let (p50, p99) = (at(&self.rounds, 0.5), at(&self.rounds, 0.99));
        format!("  {name:<10} p50 {p50:6.2} ms, p99 {p99:6.2} ms; {:6.0} /s", self.rate())
    }
}

/// What the machine takes for the same after a pause as long as the model's.
#[derive(Default)]
struct Rest {
    syncs: Vec<Times>,
    readings: Vec<Times>,
    /// Without a pause.
    warm: Vec<Times>,
}

impl Rest {
    fn round(&mut self, folder: &Path, pause: Duration) -> std::io::Result<()> {
        self.syncs.push(disk::fdatasync(folder, RESTED, pause)?);
        self.readings.push(machine::reading_after(pause, RESTED)?);
        self.warm.push(machine::reading_after(Duration::ZERO, RESTED)?);
        Ok(())
    }

    fn say(&self, f: f64) {
        if self.syncs.is_empty() {
            return;
        }
        let [syncs, readings, warm] = [&self.syncs, &self.readings, &self.warm].map(|times| at(times, 0.5));
        println!(
            "  after a pause of that: F {syncs:.3} ms ({f:.3} without); 256 KiB read in {readings:.3} ms ({warm:.3})"
        );
    }
}

async fn table(bench: &Bench) -> Result<(), FigureError> {
    for (callers, millis, aims) in TABLE {
        bench.model_takes(millis);
        let (mut disk, mut rest, mut direct, mut floor) =
            (Vec::new(), Rest::default(), Line::default(), Line::default());
        let mut through = [Line::default(), Line::default()];
        let mut load_seconds = 0.0;
        for _ in 0..ROUNDS {
            disk.push(disk::fdatasync(bench.setups[0].server.data_dir(), SYNCS, Duration::ZERO)?);
            if millis > 0 {
                rest.round(bench.setups[0].server.data_dir(), Duration::from_millis(millis))?;
            }
            direct.rounds.push(bench.direct(callers, ROUND).await?);
            let before = cpu_seconds(bench.floor.pid());
            floor.rounds.push(bench.floor.calls(callers, ROUND).await?);
            floor.cpu_seconds += cpu_seconds(bench.floor.pid()) - before;
            for (setup, line) in bench.setups.iter().zip(&mut through) {
                let pids = [setup.server.pid(), std::process::id()];
                let before = pids.map(cpu_seconds);
                line.rounds.push(setup.executions(callers, ROUND).await?);
                line.cpu_seconds += cpu_seconds(pids[0]) - before[0];
                load_seconds += cpu_seconds(pids[1]) - before[1];
            }
        }
        let f = at(&disk, 0.5);
        println!("callers: {callers}, model: {millis} ms, F (fdatasync): {f:.3} ms, p99 {:.2} ms", at(&disk, 0.99));
        rest.say(f);
        println!("{}", direct.say("direct"));
        println!("{}", floor.beside("floor", &direct));
        for ((setup, line), aim) in bench.setups.iter().zip(&through).zip(aims) {
            println!("{} (aims: {})", line.beside(setup.name, &direct), aim(f));
        }
        let calls = through.iter().flat_map(|line| &line.rounds).map(Times::calls).sum::<f64>();
        println!("  callers and model themselves: CPU {:.3} ms a call", load_seconds * 1_000.0 / calls);
    }
    Ok(())
}

/// GetPrompt, for scale: it writes nothing.
async fn reads(bench: &Bench) -> Result<(), FigureError> {
    let [dev, postgres] = &bench.setups;
    println!("GetPrompt");
    for (setup, callers, aim) in
        [(dev, 64, "51000 /s before"), (postgres, 16, "aim p50 0.6"), (postgres, 64, "aim 30000 /s")]
    {
        let mut line = Line::default();
        for _ in 0..ROUNDS {
            line.rounds.push(setup.prompts(callers, ROUND).await?);
        }
        println!("{}; callers: {callers} ({aim})", line.say(setup.name));
    }
    Ok(())
}
