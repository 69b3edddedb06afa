//! What every broker must do, run on each of them; and the outages of each.
#![allow(clippy::disallowed_types, reason = "every broker is tested")]
// In a test a panic is the report.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod bus;
mod failover;
mod kit;
mod memory;
mod queue;
mod rabbit;
mod redis;
mod secrets;

/// Runs every scenario of the suite on one backend.
macro_rules! conformance {
    ($backend:ty) => {
        crate::scenarios!($backend: queue
            a_hint_goes_to_one_of_two_receivers_once
            a_batch_comes_whole_and_about_in_order
            no_more_is_received_than_was_asked_for
            a_receiver_that_waits_is_woken_quickly
            dropping_a_pending_receive_loses_nothing
            a_hint_that_is_sent_twice_comes_twice
            what_is_no_hint_is_passed_over
            a_process_that_does_not_receive_keeps_no_hint_from_others
            what_was_sent_before_anyone_received_is_there
            nothing_is_sent_well
        );
        crate::scenarios!($backend: bus
            every_listener_hears_every_announcement
            a_batch_is_heard_whole_and_in_order
            a_listener_hears_its_topic_alone
            what_is_no_announcement_is_passed_over
            a_listener_that_is_too_slow_is_told_so
            a_listener_hears_nothing_from_before
        );
    };
}
pub(crate) use conformance;

/// As [`conformance!`], of brokers that several processes share.
macro_rules! between_processes {
    ($backend:ty) => {
        crate::scenarios!($backend: queue
            a_hint_goes_to_a_process_that_has_its_provider
            what_nobody_has_yet_waits_in_its_own_line
            what_is_given_back_goes_to_one_that_has_its_provider
        );
    };
}
pub(crate) use between_processes;

/// One test per scenario.
macro_rules! scenarios {
    ($backend:ty: $module:ident $($scenario:ident)*) => {
        mod $module {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $scenario() {
                    let backend = <$backend as crate::kit::Backend>::fresh().await;
                    crate::$module::$scenario(&backend).await;
                }
            )*
        }
    };
}
pub(crate) use scenarios;
