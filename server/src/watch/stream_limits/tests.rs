//! Slots, heartbeats, ends, and the budget of a poll.

use std::pin::pin;

use super::*;

fn streams(per_key: usize, per_server: usize) -> (Arc<StreamLimits>, CancellationToken) {
    let second = Duration::from_secs(1);
    let config =
        WatchConfig { per_key, per_server, max_age: 100 * second, heartbeat: 15 * second, stall_limit: 4 * second };
    let draining = CancellationToken::new();
    (StreamLimits::new(config, draining.clone()), draining)
}

fn connection(port: u16) -> Option<SocketAddr> {
    Some(SocketAddr::from(([127, 0, 0, 1], port)))
}

#[tokio::test]
async fn slots_are_counted_per_key_and_per_server_and_given_back() {
    let (streams, _) = streams(2, 3);
    let (one, _two) = (streams.admit(1, None).unwrap(), streams.admit(1, None).unwrap());
    assert_eq!(streams.admit(1, None).err().unwrap().reason(), Reason::TooManyWatchers);
    let _three = streams.admit(2, None).unwrap();
    let error = streams.admit(2, None).err().unwrap();
    assert!(error.to_string().contains("this server has 3"), "{error}");
    let _free = streams.within_call(None);
    drop(one);
    streams.admit(1, None).unwrap();
}

#[tokio::test(start_paused = true)]
async fn heartbeats_come_and_the_age_ends_a_stream() {
    let (streams, _) = streams(1, 1);
    let mut slot = streams.admit(1, None).unwrap();
    let began = Instant::now();
    let mut beats = 0;
    let ending = loop {
        match slot.waits().await {
            None => beats += 1,
            Some(ending) => break ending,
        }
    };
    assert_eq!(ending, StreamEnd::Aged);
    assert!((5..=7).contains(&beats), "{beats} in {:?}", began.elapsed());
    assert!((90..=110).contains(&began.elapsed().as_secs()));
    let mut endless = streams.within_call(None);
    for _ in 0..20 {
        assert_eq!(endless.waits().await, None);
    }
}

#[tokio::test(start_paused = true)]
async fn a_drain_ends_what_does_not_outlast_it() {
    let (streams, draining) = streams(1, 1);
    let (mut ends, mut outlasts) = (streams.within_call(None), streams.within_call(None).outlasting_a_drain());
    draining.cancel();
    assert_eq!((ends.waits().await, outlasts.waits().await), (Some(StreamEnd::Drained), None));
    for (ending, reason) in [
        (StreamEnd::Drained, Reason::Draining),
        (StreamEnd::Aged, Reason::Draining),
        (StreamEnd::Slow, Reason::SlowConsumer),
    ] {
        assert_eq!(ending.error().reason(), reason);
    }
}

#[tokio::test]
async fn who_does_not_read_is_expelled_and_the_heaviest_first_where_a_whole_connection_stalls() {
    let (streams, _) = streams(9, 9);
    let stream = |port, polled, bytes| {
        let slot = streams.admit(1, connection(port)).unwrap();
        slot.activity.polled.store(polled, Ordering::Relaxed);
        slot.gave(bytes);
        slot
    };
    // On the first connection one stream is read, so the connection is not blocked; on the second none is.
    let first = [stream(1, 50, 0), stream(1, 5, 1), stream(1, 5, 9), stream(1, 50, 9)];
    let second = [stream(2, 5, 1), stream(2, 5, 9), stream(2, 5, 2)];
    let slow = |slot: &StreamSlot| slot.check() == Err(StreamEnd::Slow);
    streams.expel(10);
    assert_eq!(first.each_ref().map(slow), [false, true, true, false]);
    assert_eq!(second.each_ref().map(slow), [false, true, false]);
    streams.expel(10);
    assert_eq!(second.each_ref().map(slow), [false, true, true]);
}

#[tokio::test(start_paused = true)]
async fn after_a_pause_of_the_process_streams_are_polled_before_one_is_expelled() {
    let (streams, stop) = streams(9, 9);
    tokio::spawn(Arc::clone(&streams).run(stop.clone()));
    let (read, unread) = (streams.admit(1, connection(1)).unwrap(), streams.admit(1, connection(1)).unwrap());
    let expelled = || [&read, &unread].map(|slot| slot.activity.expelled.load(Ordering::Relaxed));
    tokio::time::sleep(Duration::from_secs(2)).await;
    // Longer than a stream may go unread, in one step.
    tokio::time::advance(Duration::from_secs(60)).await;
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
    assert_eq!(expelled(), [false, false]);
    read.activity.polled.store(streams.now(), Ordering::Relaxed);
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(expelled(), [false, true]);
    stop.cancel();
}

#[tokio::test(start_paused = true)]
async fn who_is_not_polled_is_expelled_after_the_limit_and_who_waits_is_not() {
    let (streams, stop) = streams(9, 9);
    tokio::spawn(Arc::clone(&streams).run(stop.clone()));
    let (unread, mut read) = (streams.admit(1, connection(1)).unwrap(), streams.admit(1, connection(2)).unwrap());
    let (began, marks) = (Instant::now(), read.read_marker());
    let mut is_unread_expelled = None;
    while began.elapsed() < Duration::from_secs(60) {
        let mut waits = pin!(read.waits());
        let ending = std::future::poll_fn(|cx| {
            marks();
            if began.elapsed() >= Duration::from_secs(6) {
                is_unread_expelled.get_or_insert_with(|| unread.check().is_err());
            }
            waits.as_mut().poll(cx)
        });
        assert_eq!(ending.await, None);
    }
    assert_eq!(is_unread_expelled, Some(true));
    read.check().unwrap();
    stop.cancel();
}

#[tokio::test]
async fn a_turn_is_a_few_messages_or_some_bytes() {
    for (bytes, most) in [(0, 8), (1_024, 6), (16 * 1_024, 1), (1024 * 1024, 1)] {
        // Begins another poll of this task, with a full budget.
        tokio::task::yield_now().await;
        let mut taken = 0;
        while futures::poll!(pin!(take_turn(bytes))).is_ready() {
            taken += 1;
        }
        assert_eq!(taken, most, "{bytes}");
    }
}
