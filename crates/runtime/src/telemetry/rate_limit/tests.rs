use std::io;

use tracing::Dispatch;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;

use super::*;

fn event(cause: &str, message: &str, times: Option<u64>) -> LimitedEvent {
    LimitedEvent { cause: cause.to_owned(), times, message: message.to_owned() }
}

#[test]
fn a_cause_is_logged_when_it_is_new_and_counted_for_a_minute_at_a_time_until_it_is_gone() {
    let (mut causes, start) = (Causes::default(), Instant::now());
    let at = |seconds| start + Duration::from_secs(seconds);
    let admit = |causes: &mut Causes, second, cause: &str, message: &str, times| {
        causes.admit(Level::WARN, event(cause, message, times), at(second), PERIOD)
    };
    assert!(admit(&mut causes, 0, "too many", "a write failed", None));
    for second in 1..=3 {
        assert!(!admit(&mut causes, second, "too many", "a write failed", None));
    }
    assert!(!admit(&mut causes, 4, "too many", "a batch failed", Some(64)));
    assert!(admit(&mut causes, 5, "read-only", "a write failed", None), "another cause");
    assert_eq!(causes.due(at(59), PERIOD), []);
    let summary =
        |times, what: &str| Summary { level: Level::WARN, cause: "too many".into(), times, what: what.into() };
    let first = causes.due(at(60), PERIOD);
    assert_eq!(first, [summary(67, "64 times: a batch failed; 3 times: a write failed")]);
    assert!(!admit(&mut causes, 61, "too many", "a write failed", None));
    assert_eq!(causes.due(at(119), PERIOD), [], "`read-only` was logged, and is forgotten");
    assert!(admit(&mut causes, 119, "read-only", "a write failed", None));
    assert_eq!(causes.due(at(120), PERIOD), [summary(1, "a write failed")]);
    assert_eq!(causes.due(at(180), PERIOD), []);
    assert!(admit(&mut causes, 181, "too many", "a write failed", None), "it comes back");
}

#[test]
fn causes_that_differ_in_numbers_are_one_and_the_gravest_level_counts() {
    let (mut causes, now) = (Causes::default(), Instant::now());
    let mut admit = |level, cause: &str| causes.admit(level, event(cause, "m", None), now, PERIOD);
    assert!(admit(Level::WARN, "process 17 waits for 4"));
    assert!(!admit(Level::ERROR, "process 9 waits for 1234"));
    let [summary] = causes.due(now + PERIOD, PERIOD).try_into().unwrap();
    assert_eq!((summary.level, &*summary.cause), (Level::ERROR, "process 17 waits for 4"));
}

#[test]
fn what_is_kept_has_a_bound() {
    let (mut causes, now) = (Causes::default(), Instant::now());
    let mut admitted = 0;
    for n in 0..10_000_u32 {
        let name: String = n.to_string().bytes().map(|digit| char::from(digit + 48)).collect();
        admitted += usize::from(causes.admit(Level::WARN, event(&name, &name, None), now, PERIOD));
        causes.admit(Level::WARN, event("one", &name, None), now, PERIOD);
    }
    assert_eq!((admitted, causes.0.len()), (CAUSES, CAUSES + 1));
    assert!(causes.0.values().all(|repeats| repeats.messages.len() <= MESSAGES));
    let lines = causes.due(now + PERIOD, PERIOD);
    let further = lines.iter().find(|line| line.cause == FURTHER).unwrap();
    assert_eq!(further.times, 10_000 - CAUSES as u64);
}

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

impl Lines {
    fn with(&self, what: &str) -> usize {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap().lines().filter(|line| line.contains(what)).count()
    }
}

#[test]
fn lines_of_one_cause_become_one_and_a_count_and_others_are_not_touched() {
    let (lines, limit) = (Lines::default(), RateLimit::over(Duration::from_millis(300)));
    let written = tracing_subscriber::fmt::layer().with_ansi(false).with_writer(lines.clone());
    let log = Dispatch::new(tracing_subscriber::registry().with(limit.clone()).with(written));
    tracing::dispatcher::with_default(&log, || {
        for n in 0..5_u64 {
            tracing::warn!(cause = "no space left", "a write failed");
            tracing::error!(cause = %"no space left", times = 10_u64, "writes failed");
            tracing::info!(cause = "no space left", "it is no warning");
            tracing::warn!(n, "without a cause");
        }
    });
    assert_eq!((lines.with("no warning"), lines.with("without a cause")), (5, 5));
    assert_eq!((lines.with("a write failed"), lines.with("writes failed")), (1, 0));
    limit.report_to(log.downgrade()).unwrap();
    let began = Instant::now();
    while lines.with("repeated") == 0 && began.elapsed() < Duration::from_secs(60) {
        std::thread::yield_now();
    }
    assert_eq!(lines.with("times=54"), 1);
    assert_eq!(lines.with("ERROR"), 1);
}
