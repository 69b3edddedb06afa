//! The process as the system sees it, by the names that Prometheus's own clients use. Linux alone tells it.

use opentelemetry::metrics::Meter;

use crate::family::Collected;

/// What `/proc` counts time in, per second: the same on every Linux.
const TICKS: f64 = 100.0;

pub(crate) struct OwnProcess;

pub(crate) static PROCESS: OwnProcess = OwnProcess;

struct Stat {
    /// User and system, in seconds.
    cpu: f64,
    resident_bytes: u64,
}

/// Absent where the system does not tell it.
fn stat() -> Option<Stat> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    // Behind the name, which may hold anything: fields 3 and on.
    let fields: Vec<_> = stat.rsplit(')').next()?.split_whitespace().collect();
    let number = |field: usize| fields.get(field - 3)?.parse::<u64>().ok();
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = resident.trim().trim_end_matches("kB").trim().parse().ok()?;
    Some(Stat { cpu: (number(14)? + number(15)?) as f64 / TICKS, resident_bytes: kib * 1024 })
}

impl Collected for OwnProcess {
    fn register(&'static self, meter: &Meter) {
        let cpu = meter.f64_observable_counter("process.cpu").with_unit("s").with_description("Time of processors");
        let observed = cpu.with_callback(|observer| {
            if let Some(stat) = stat() {
                observer.observe(stat.cpu, &[]);
            }
        });
        observed.build();
        let memory = meter.u64_observable_gauge("process.resident_memory").with_unit("By");
        let observed = memory.with_description("Resident memory").with_callback(|observer| {
            if let Some(stat) = stat() {
                observer.observe(stat.resident_bytes, &[]);
            }
        });
        observed.build();
        let files = meter.u64_observable_gauge("process.open_fds").with_description("Open file descriptors");
        let observed = files.with_callback(|observer| {
            if let Ok(open) = std::fs::read_dir("/proc/self/fd") {
                observer.observe(open.count() as u64, &[]);
            }
        });
        observed.build();
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn the_system_tells_of_this_process() {
        let stat = stat().unwrap();
        assert!(stat.resident_bytes > 1024 * 1024 && stat.cpu >= 0.0);
    }
}
