//! The conformance suite of the databases. Each scenario uses only the traits and runs on an empty database. [`kit`]
//! defines what a database has to provide for the tests besides the traits; [`conformance`] generates a test for each
//! scenario.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "in a test a panic is the report")]
#![allow(missing_docs, reason = "the name of a scenario says what it is about")]

pub mod access;
pub mod answers;
pub mod cancel;
pub mod code;
pub mod contents;
pub mod crowds;
pub mod executions;
pub mod expiry;
pub mod filters;
pub mod histories;
pub mod kit;
pub mod labels;
pub mod leases;
pub mod lists;
pub mod migrating;
pub mod models;
pub mod moments;
pub mod processes;
pub mod queue;
pub mod queue_depth;
pub mod recount;
pub mod registry;
pub mod registry_feed;
pub mod retries;
pub mod transfer;
pub mod usage;
pub mod versioning;
pub mod watching;

/// Generates the tests of the whole suite for one backend.
#[macro_export]
macro_rules! conformance {
    ($backend:ty) => {
        $crate::scenarios!($backend: versioning
            the_first_content_makes_version_one
            a_known_content_is_reused
            contents_differ_by_their_exact_bytes
            fifty_concurrent_writers_of_ten_contents_end_with_versions_one_to_ten
            putting_an_older_content_active_rolls_back
            set_active_rolls_back_and_forth
            a_deprecated_version_becomes_active_again
            the_active_version_cannot_be_deprecated
            a_draft_is_activated_not_marked_active
            a_version_that_does_not_exist_is_named
            every_write_takes_the_next_revision
            a_write_that_changes_nothing_keeps_the_etag
            metadata_is_kept_when_absent_and_cleared_when_empty
        );
        $crate::scenarios!($backend: registry
            an_unknown_prompt_is_not_found
            an_unknown_project_is_named
            names_are_unique_within_a_project_only
            create_only_refuses_a_taken_name
            a_stale_etag_is_refused
            an_etag_of_nothing_is_refused
            an_archived_prompt_takes_no_writes
            archiving_is_undone_and_repeats_harmlessly
            a_tracking_prompt_is_not_written_here
            every_selector_finds_its_version
            prompts_are_paged_by_name
            prompts_are_filtered
            versions_are_paged_newest_first
            a_text_with_nul_finds_nothing
            two_creators_of_one_name_make_one_prompt
            revisions_count_the_writes_of_each_kind
        );
        $crate::scenarios!($backend: code
            an_unknown_name_becomes_a_tracking_prompt_with_an_active_version
            an_equal_content_is_unchanged_and_nothing_is_written
            another_content_is_updated_and_a_revert_reactivates
            a_retired_version_that_code_returns_to_is_active_again
            registering_without_activating_leaves_the_pointer
            a_dry_run_reports_the_same_and_writes_nothing
            every_prompt_that_changes_takes_a_revision_of_its_own
            a_batch_is_written_whole_or_not_at_all
            a_text_has_one_format
            what_code_says_of_a_prompt_is_kept_when_absent_and_cleared_when_empty
            what_code_says_of_a_prompt_is_not_written_where_its_content_is_equal
            deployments_that_race_end_in_consecutive_versions_and_without_a_deadlock
            a_thousand_prompts_are_one_batch
            a_name_in_another_project_is_another_prompt
        );
        $crate::scenarios!($backend: contents
            a_content_reads_back_whole_wherever_it_is_read
            contents_are_told_apart_by_all_that_they_hold
            a_bare_text_is_stored_as_ever
            an_opaque_text_with_a_config_is_kept_from_releases_before
            code_carries_any_content
            what_an_execution_is_sent_with_reads_back_and_is_claimed
            calls_and_refusals_are_recorded
            a_worker_of_a_release_before_leaves_alone_what_it_cannot_run
            what_a_model_can_do_is_kept_where_it_is_not_told_again
        );
        $crate::scenarios!($backend: labels
            a_label_is_set_moved_and_removed
            what_a_label_points_at_stays_and_survives
            labels_come_with_a_content
            code_moves_labels_without_a_version
            an_execution_by_a_label_that_moved_is_stale
            fifty_concurrent_moves_of_labels_all_count
            every_write_is_logged_with_what_it_did
            rare_changes_are_looked_for_among_a_bounded_number_and_all_are_found
            a_write_that_fails_or_changes_nothing_logs_nothing
        );
        $crate::scenarios!($backend: transfer
            an_absent_prompt_becomes_an_exact_copy
            an_existing_prompt_gets_what_it_does_not_have
            a_prompt_that_comes_in_messages_is_an_exact_copy
            a_prompt_written_between_its_messages_keeps_what_it_has
            a_draft_that_an_import_makes_active_is_active
        );
        $crate::scenarios!($backend: registry_feed
            each_prompt_is_told_at_its_last_write
            prompts_and_versions_are_read_by_name_and_number
        );
        $crate::scenarios!($backend: filters
            every_filter_and_every_two_find_the_right_executions
            a_list_that_finds_little_says_where_it_stopped
            every_filter_and_every_two_find_the_right_prompts
            a_list_of_prompts_that_finds_little_says_where_it_stopped
        );
        $crate::scenarios!($backend: migrating
            a_prompt_moves_there_and_back_with_its_versions
            what_was_executed_keeps_the_mode_that_it_was_made_in
            what_was_resolved_in_the_other_mode_is_stale
            an_opaque_prompt_stays_in_code
            what_keeps_a_prompt_from_moving_is_said
        );
        $crate::scenarios!($backend: models
            a_new_ledger_knows_models_and_their_prices
            a_new_model_streams_and_has_no_price
            absent_fields_keep_what_was_there
            a_price_holds_from_its_moment_on
            an_equal_price_writes_nothing
            a_price_that_differs_only_in_what_is_written_to_the_cache_is_another
            of_two_prices_from_one_moment_the_later_written_holds
            a_model_is_discovered_while_there_is_room_and_known_after
            models_discovered_at_once_keep_to_their_number
            models_are_paged_by_provider_and_name
        );
        $crate::scenarios!($backend: access
            the_default_project_is_there
            creating_a_project_twice_answers_the_first
            a_key_is_found_by_its_hash
            a_revoked_key_stays_and_keeps_its_time
            of_many_keys_the_good_ones_are_told
            a_key_of_an_unknown_project_is_refused
            keys_are_listed_oldest_first
        );
        $crate::scenarios!($backend: executions
            a_started_execution_runs_and_reads_back_whole
            messages_and_truncation_read_back
            a_finished_execution_is_answered_whole
            a_failed_execution_keeps_its_failure
            a_finish_that_ends_nothing_is_refused
            what_is_not_active_any_more_is_stale
            what_was_resolved_before_a_write_is_stale
            an_archived_prompt_is_stale
            another_projects_version_is_stale
            thirty_two_racing_starts_of_one_key_record_one
            a_key_is_found_although_the_prompt_was_archived
            the_same_key_of_another_prompt_is_free
            another_project_does_not_see_an_execution
            events_are_paged_and_belong_to_a_project
            many_writes_at_once_each_get_their_own_answer
            what_was_executed_cannot_be_deleted
            the_texts_attempts_and_events_go_with_their_execution
        );
        $crate::scenarios!($backend: answers
            what_is_written_to_the_cache_is_paid_whoever_ends_the_execution
            the_last_answers_model_and_each_attempts_requests_are_told
            a_timeout_is_told_as_it_was_asked_for
        );
        $crate::scenarios!($backend: crowds
            each_of_a_crowd_keeps_its_own_texts_and_numbers
            good_ones_among_stale_ones_and_taken_keys_are_recorded
            what_is_sent_several_times_at_once_is_written_once
            ends_of_others_among_zombies_are_written
        );
        $crate::scenarios!($backend: leases
            a_retry_begins_the_next_attempt
            usage_adds_up_over_attempts
            a_retry_of_a_canceled_execution_ends_it
            a_zombies_write_touches_nothing
            an_unknown_execution_cannot_be_finished
            extending_answers_what_is_still_held
            a_lease_of_zero_expires_at_once
            a_canceled_execution_expires_as_canceled
            what_an_expired_execution_had_used_is_paid
            a_held_execution_does_not_expire
        );
        $crate::scenarios!($backend: retries
            a_failed_execution_is_repeated_under_its_key
            a_repeat_that_is_recorded_twice_is_recorded_once
            what_has_not_failed_is_not_repeated
            a_repeat_that_is_stale_leaves_the_key_where_it_is
            thirty_two_racing_repeats_record_one
        );
        $crate::scenarios!($backend: queue
            a_submitted_execution_is_queued_and_reads_back_whole
            a_submit_repeated_with_its_own_id_answers_the_first_event
            thirty_two_racing_submits_of_one_key_record_one
            a_claim_begins_the_next_attempt_with_all_it_needs
            a_hint_that_comes_twice_claims_once
            what_needs_a_later_release_is_left_alone
            a_hint_of_another_attempt_claims_only_what_is_due
            a_full_claim_takes_what_is_due_in_order
            a_claim_takes_only_what_its_process_can_call
            racing_claims_share_without_overlap
            what_runs_with_a_claim_is_found_by_it
            a_requeued_execution_waits_for_its_time
            a_hand_back_does_not_count
            used_tokens_and_the_price_come_with_the_next_claim
            whether_the_model_streams_comes_with_a_claim
            what_an_execution_is_of_comes_with_a_claim
            messages_come_with_a_claim
            many_batches_over_the_same_rows_stay_consistent
        );
        $crate::scenarios!($backend: queue_depth
            the_queue_is_counted_up_to_a_bound
            the_queue_tells_for_how_long_its_oldest_is_due
            the_oldest_is_that_of_all_providers_however_many_are_counted
        );
        $crate::scenarios!($backend: processes
            what_a_process_told_is_listed_until_it_tells_otherwise
            one_that_left_stays_known_and_comes_back
            what_was_told_counts_for_a_day
            servers_that_run_come_with_the_length_of_the_queue
            what_another_told_since_is_not_kept_twice
            what_a_later_release_tells_is_read_as_far_as_it_is_known
        );
        $crate::scenarios!($backend: cancel
            a_queued_execution_is_canceled_at_once
            a_running_execution_carries_the_wish_of_who_asked_first
            a_requeue_of_a_canceled_execution_ends_it
            what_has_ended_is_canceled_or_refused
            another_projects_execution_cannot_be_canceled
        );
        $crate::scenarios!($backend: expiry
            an_async_execution_whose_holder_died_goes_back_into_the_queue
            lost_leases_count_against_the_retries
            a_canceled_execution_whose_holder_died_ends_canceled
            a_queued_execution_past_its_life_expires
            a_running_execution_past_its_life_expires_with_its_lease_only
            a_young_database_expires_nothing
        );
        $crate::scenarios!($backend: watching
            what_came_after_a_cursor_is_answered_for_many_at_once
            what_came_in_a_span_of_time_is_answered_in_its_order
            executions_are_found_by_their_ids
        );
        $crate::scenarios!($backend: usage
            a_ledger_without_executions_has_no_figures
            every_split_is_a_recount_of_the_executions
            every_page_size_shows_every_row_once_in_order
            each_versions_executions_are_counted
            every_usage_filter_leaves_the_right_ones
            an_overview_is_by_mode_with_prompts_as_of_now
            another_projects_executions_do_not_count
            what_was_not_told_is_absent_and_counted
        );
        $crate::scenarios!($backend: histories
            figures_are_a_recount_at_any_moment
        );
        $crate::scenarios!($backend: moments
            figures_are_of_one_moment_whatever_is_under_way
        );
        $crate::scenarios!($backend: lists
            executions_are_paged_newest_first
            executions_of_one_moment_are_paged_by_id
            every_filter_leaves_the_right_ones
            executions_are_filtered_by_what_they_were_recorded_with
            several_statuses_are_merged_newest_first
            names_that_do_not_exist_show_nothing
            texts_come_when_asked_for
            times_bound_a_list_from_inclusive_to_exclusive
        );
    };
}

/// Generates one test per scenario of a module.
#[macro_export]
macro_rules! scenarios {
    ($backend:ty: $module:ident $($scenario:ident)*) => {
        mod $module {
            use super::*;

            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $scenario() {
                    let backend = <$backend as $crate::kit::Backend>::fresh().await;
                    $crate::$module::$scenario(&backend).await;
                }
            )*
        }
    };
}
