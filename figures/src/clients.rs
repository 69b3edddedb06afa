//! The clients of all languages: what each one's layer costs beside the bare stub of the same language, what a cache of 10,000
//! prompts takes, and the time from a program's start to its first answer. Each is a program of its own, which prints what it
//! measured as one line of JSON; the server is `dev`.

use std::path::PathBuf;
use std::process::{ExitCode, Stdio};

use prompt_ledger_testkit::ledger::{Ledger, put};
use serde_json::Value;
use xtask::{CommandOutcome, workspace::Workspace};

use super::machine;
use super::release::{FigureError, release_binaries, subject};
use prompt_ledger_proto::v1;

/// The prompts that each program finds, `figures-00000` and so on.
const PROMPTS: usize = 10_000;
/// Of each prompt's text.
const TEXT_BYTES: usize = 200;
/// The duration of each measurement of a program.
const SECONDS: u32 = 10;
/// The most that a layer may cost, in percent of the stub's calls per second.
const AIM: f64 = 10.0;

/// The program of a language. `{self}` is this program, `{environments}` the folder with what check.sh installs for the languages,
/// `{seconds}` the duration of each measurement.
struct ClientProgram {
    language: &'static str,
    /// Makes what it needs; empty where that is nothing.
    build: &'static [&'static str],
    run: &'static [&'static str],
}

const PROGRAMS: [ClientProgram; 5] = [
    ClientProgram { language: "rust", build: &[], run: &["{self}", "rust-client", "{seconds}"] },
    ClientProgram {
        language: "python",
        build: &["clients/python/check.sh", "{environments}/python", "environments"],
        run: &["{environments}/python/newest/bin/python", "clients/python/bench.py", "{seconds}"],
    },
    ClientProgram {
        language: "typescript",
        build: &[],
        run: &["clients/typescript/bench/run.sh", "{seconds}", "{environments}/typescript"],
    },
    ClientProgram {
        language: "go",
        build: &["clients/go/check.sh", "{environments}/go", "environments"],
        run: &["{environments}/go/bin/bench", "{seconds}"],
    },
    ClientProgram {
        language: "java",
        build: &["clients/java/check.sh", "{environments}/java", "environments"],
        run: &["clients/java/bench.sh", "{environments}/java", "{seconds}"],
    },
];

pub(super) async fn run(languages: &[String]) -> CommandOutcome {
    measure(languages).await.map_err(|error| error.to_string())?;
    Ok(ExitCode::SUCCESS)
}

async fn measure(languages: &[String]) -> Result<(), FigureError> {
    let known = PROGRAMS.map(|program| program.language);
    if let Some(unknown) = languages.iter().find(|language| !known.contains(&language.as_str())) {
        return Err(format!("there is no program for {unknown}; there are {}", known.join(", ")).into());
    }
    let workspace = Workspace::locate().map_err(|error| error.to_string())?;
    let binaries = release_binaries(&["prompt-ledger-server"])?;
    let ledger = subject(binaries.join("prompt-ledger")).env("QUEUE_DEPTH_LIMIT", "100000000").start().await;
    eprintln!("writing {PROMPTS} prompts");
    fill(&ledger).await?;
    println!("{} cores, {:.2} of them taken by others before the run", machine::cores(), machine::cores_taken().await?);
    for program in PROGRAMS {
        if languages.is_empty() || languages.iter().any(|language| language == program.language) {
            program.measured(&workspace, &ledger).await?;
        }
    }
    println!("{:.2} cores taken by others after the run", machine::cores_taken().await?);
    Ok(())
}

async fn fill(ledger: &Ledger) -> Result<(), FigureError> {
    let mut registry = ledger.registry();
    for number in 0..PROMPTS {
        let text = format!("{number:05}{}", "x".repeat(TEXT_BYTES - 5));
        let request = put(&format!("figures-{number:05}"), &text);
        registry.put_prompt(v1::PutPromptRequest { set_active: true, ..request }).await?;
    }
    Ok(())
}

impl ClientProgram {
    async fn measured(&self, workspace: &Workspace, ledger: &Ledger) -> Result<(), FigureError> {
        let own = std::env::current_exe()?;
        let environments: PathBuf = workspace.target.join("clients");
        let command = |words: &[&str]| {
            let (own, environments) = (own.to_string_lossy(), environments.to_string_lossy());
            let filled = |word: &&str| {
                let word = word.replace("{self}", &own).replace("{environments}", &environments);
                word.replace("{seconds}", &SECONDS.to_string())
            };
            words.iter().map(filled).collect::<Vec<_>>()
        };
        let started = |words: &[String]| {
            let mut process = tokio::process::Command::new(words.first().map(String::as_str).unwrap_or_default());
            process.args(words.get(1..).unwrap_or_default()).current_dir(&workspace.root).kill_on_drop(true);
            process
        };
        if !self.build.is_empty() {
            eprintln!("{}: making what the program needs", self.language);
            let status = started(&command(self.build)).stdout(Stdio::null()).status().await?;
            if !status.success() {
                return Err(format!("{} failed", self.build.join(" ")).into());
            }
        }
        let mut process = started(&command(self.run));
        process.stderr(Stdio::inherit());
        process.env("LEDGER_SERVER", format!("http://{}", ledger.addr)).env("LEDGER_API_KEY", &ledger.key);
        let output = process.output().await?;
        if !output.status.success() {
            return Err(format!("the program of {} failed: {}", self.language, output.status).into());
        }
        self.shown(&serde_json::from_slice(&output.stdout)?)
    }

    fn shown(&self, found: &Value) -> Result<(), FigureError> {
        let number = |of: &Value, key: &str| of[key].as_f64().ok_or(format!("{} has no {key}", self.language));
        println!("{}", self.language);
        println!("  from the start to the first answer {:8.0} ms", number(found, "start_ms")?);
        println!("  a cache of {PROMPTS} prompts       {:8.1} MiB", number(found, "cache_bytes")? / 1_048_576.0);
        let rows = found["rows"].as_array().map(Vec::as_slice).unwrap_or_default();
        let row = |call: &str, by: &str| rows.iter().find(|row| row["call"] == call && row["by"] == by);
        for (call, kind) in [("cache.get", "get from the cache"), ("prompts.get", "GetPrompt"), ("submit", "submit")] {
            let layer = row(call, "layer").ok_or(format!("{} has no row of {call}", self.language))?;
            let (rate, p99) = (number(layer, "per_second")?, number(layer, "p99_us")?);
            print!("  {kind:<20} {rate:11.0} /s   p99 {:8.3} ms", p99 / 1_000.0);
            match row(call, "stub") {
                None => println!(),
                Some(stub) => {
                    let (bare, bare_p99) = (number(stub, "per_second")?, number(stub, "p99_us")?);
                    let cost = 100.0 * (1.0 - rate / bare);
                    println!(
                        "   the stub {bare:8.0} /s   p99 {:8.3} ms   the layer costs {cost:5.1} % (aim {AIM})",
                        bare_p99 / 1_000.0
                    );
                }
            }
        }
        Ok(())
    }
}
