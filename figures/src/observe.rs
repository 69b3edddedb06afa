//! What observing costs: RunExecution with metrics on, which are fetched, and traces sampled at 1 %, pushed to a receiver, beside a
//! server that shows nothing. Both log at INFO, as production does, with a line for each call and for each execution. They take
//! turns in pairs, and so that neither is always the first; figures are medians of the pairs.

use std::process::ExitCode;
use std::time::Duration;

use prompt_ledger_testkit::fake_model::{FakeModel, Reply};
use prompt_ledger_testkit::metrics;
use prompt_ledger_testkit::otlp::OtlpReceiver;
use prompt_ledger_testkit::services::{Postgres, Redis};

use super::bench::{ROUND, Setup};
use super::load::median;
use super::machine;
use super::release::{FigureError, release_binaries};
use xtask::{CommandOutcome, install};

const PAIRS: usize = 10;
const WARM_UP: Duration = Duration::from_secs(1);
/// One caller shows the time of a call, many the rate.
const CALLERS: [usize; 2] = [1, 16];
/// As in production; other figures are of servers that log less.
const LOG: (&str, &str) = ("LOG", "info");
const OFF: [(&str, &str); 2] = [LOG, ("METRICS_ADDR", "off")];

pub(super) async fn run() -> CommandOutcome {
    measure().await.map_err(|error| error.to_string())?;
    Ok(ExitCode::SUCCESS)
}

async fn measure() -> Result<(), FigureError> {
    install::services().map_err(|error| error.to_string())?;
    let binaries = release_binaries(&["prompt-ledger-server"])?;
    let receiver = OtlpReceiver::start().await;
    let endpoint = receiver.endpoint();
    let on = [
        LOG,
        ("METRICS_ADDR", "127.0.0.1:0"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()),
        ("OTEL_TRACES_SAMPLER_ARG", "0.01"),
    ];
    let (postgres, redis, model) = tokio::join!(Postgres::start(), Redis::start(), FakeModel::start());
    model.otherwise(Reply::answer("A fixed answer of some words."));
    let pairs = [
        [Setup::dev(&binaries, &model, &OFF).await?, Setup::dev(&binaries, &model, &on).await?],
        [
            Setup::postgres(&binaries, &model, &postgres, &redis, &OFF).await?,
            Setup::postgres(&binaries, &model, &postgres, &redis, &on).await?,
        ],
    ];
    println!("{} cores, {:.2} of them taken by others before the run", machine::cores(), machine::cores_taken().await?);
    for pair in &pairs {
        for setup in pair {
            setup.executions(16, WARM_UP).await?;
        }
        for callers in CALLERS {
            beside(pair, callers).await?;
        }
    }
    let spans = receiver.spans().len();
    if spans == 0 {
        return Err("no span was pushed: nothing was measured".into());
    }
    println!("{spans} spans were pushed");
    println!("{:.2} cores taken by others after the run", machine::cores_taken().await?);
    Ok(())
}

/// A server that shows nothing and one that shows everything, in turns.
async fn beside(pair: &[Setup; 2], callers: usize) -> Result<(), FigureError> {
    let (mut p50, mut rate, mut ratios) = ([vec![], vec![]], [vec![], vec![]], (vec![], vec![]));
    let shown = [None, Some(metrics::served_at(pair[1].server.process()).await)];
    for round in 0..PAIRS {
        let mut of_round = [(0.0, 0.0); 2];
        for turn in 0..2 {
            let which = (round + turn) % 2;
            if let Some(addr) = shown[which] {
                // Far more often than Prometheus does.
                metrics::fetched(addr).await;
            }
            let times = pair[which].executions(callers, ROUND).await?;
            of_round[which] = (times.quantile(0.5), times.rate());
            p50[which].push(times.quantile(0.5));
            rate[which].push(times.rate());
        }
        let [off, on] = of_round;
        ratios.0.push(on.0 / off.0);
        ratios.1.push(on.1 / off.1);
    }
    let ([off_p50, on_p50], [off_rate, on_rate]) = (p50.map(median), rate.map(median));
    let percent = |ratios| 100.0 * (median(ratios) - 1.0);
    println!("{}, {callers} callers", pair[0].name);
    println!("  off        p50 {off_p50:6.3} ms; {off_rate:6.0} /s");
    println!("  on         p50 {on_p50:6.3} ms; {on_rate:6.0} /s");
    println!("  of a pair  p50 {:+.1} %; rate {:+.1} % (aim within 3 %)", percent(ratios.0), percent(ratios.1));
    Ok(())
}
