//! `cargo xtask services`, and the services for `cargo xtask test`.

use std::process::ExitCode;
use std::time::Instant;

use prompt_ledger_services::{self as services, Postgres, Rabbit, Redis};
use tokio::signal::unix::{SignalKind, signal};

use crate::workspace::Workspace;
use crate::{CommandOutcome, install};

/// Start private instances of the services that tests need, and keep them until Ctrl-C
///
/// Prints what to export, so that `cargo test` can be called by hand in another shell. `cargo xtask test` does all of this
/// by itself.
#[derive(clap::Args)]
pub(crate) struct ServicesArgs {}

/// Private Postgres, Redis and RabbitMQ on free ports of this machine; ended on drop.
pub(crate) struct Services {
    postgres: Postgres,
    redis: Redis,
    rabbit: Rabbit,
}

impl Services {
    /// Installs what is missing, and starts them.
    pub(crate) fn start(runtime: &tokio::runtime::Runtime) -> Result<Self, Box<dyn std::error::Error>> {
        install::services()?;
        let began = Instant::now();
        let (postgres, redis, rabbit) =
            runtime.block_on(async { tokio::join!(Postgres::start(), Redis::start(), Rabbit::start()) });
        println!("Postgres, Redis and RabbitMQ run, after {:.1} s", began.elapsed().as_secs_f64());
        Ok(Self { postgres, redis, rabbit })
    }

    /// Their URLs, under the variables that tests read.
    pub(crate) fn env(&self) -> [(&'static str, String); 3] {
        [
            (services::POSTGRES, self.postgres.url()),
            (services::REDIS, self.redis.url()),
            (services::AMQP, self.rabbit.url()),
        ]
    }
}

pub(crate) fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()
}

pub(crate) fn run(_: &ServicesArgs) -> CommandOutcome {
    Workspace::locate()?;
    install::compose()?;
    let runtime = runtime()?;
    let services = Services::start(&runtime)?;
    for (name, url) in services.env() {
        println!("export {name}={url}");
    }
    println!("Ctrl-C ends them.");
    // Closing the terminal ends them too.
    runtime.block_on(async {
        let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        let mut hangup = signal(SignalKind::hangup())?;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
        std::io::Result::Ok(())
    })?;
    Ok(ExitCode::SUCCESS)
}
