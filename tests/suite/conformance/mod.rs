//! What every store must do, run over each of them.

mod alerts;
mod consumers;
mod detections;
mod fetcher;
mod files;
mod intel;
mod logs;
mod rules;

use logstore::duckdb::Access;
use logstore::{Cursor, DuckDbStore, MemoryStore, Store};

use crate::support::{at, log};
use crate::test_lake::TestLake;

macro_rules! conformance {
    ($($topic:ident { $($behaviour:ident),* $(,)? })*) => {
        mod memory {
            $($(
                #[test]
                fn $behaviour() {
                    super::$topic::$behaviour(&super::MemoryStore::new());
                }
            )*)*
        }

        mod duckdb_in_memory {
            $($(
                #[test]
                fn $behaviour() {
                    super::$topic::$behaviour(&super::DuckDbStore::open(":memory:").unwrap());
                }
            )*)*
        }

        mod duckdb_file_shared {
            $($(
                #[test]
                fn $behaviour() {
                    let folder = tempfile::tempdir().unwrap();
                    let store = super::DuckDbStore::open(folder.path().join("store.duckdb")).unwrap();
                    super::$topic::$behaviour(&store);
                }
            )*)*
        }

        mod duckdb_file_exclusive {
            $($(
                #[test]
                fn $behaviour() {
                    let folder = tempfile::tempdir().unwrap();
                    let options = super::DuckDbStore::options().access(super::Access::Exclusive);
                    super::$topic::$behaviour(&options.open(folder.path().join("store.duckdb")).unwrap());
                }
            )*)*
        }

        mod lake_in_file {
            $($(
                #[test]
                fn $behaviour() {
                    let Some(lake) = super::TestLake::in_file() else { return };
                    super::$topic::$behaviour(&lake.open());
                }
            )*)*
        }

        mod lake_in_postgres {
            $($(
                #[test]
                fn $behaviour() {
                    let Some(lake) = super::TestLake::in_postgres() else { return };
                    super::$topic::$behaviour(&lake.open());
                }
            )*)*
        }

        mod lake_in_s3 {
            $($(
                #[test]
                fn $behaviour() {
                    let Some((lake, options)) = super::TestLake::in_s3() else { return };
                    super::$topic::$behaviour(&options.open(&lake.location).unwrap());
                }
            )*)*
        }
    };
}

/// A store with one writer counts its logs; a lake, its commits of any kind.
#[test]
fn only_logs_move_the_end_of_a_store_with_one_writer() {
    let folder = tempfile::tempdir().unwrap();
    let exclusive = DuckDbStore::options().access(Access::Exclusive);
    let stores: [Box<dyn Store>; 4] = [
        Box::new(MemoryStore::new()),
        Box::new(DuckDbStore::open(":memory:").unwrap()),
        Box::new(DuckDbStore::open(folder.path().join("shared.duckdb")).unwrap()),
        Box::new(exclusive.open(folder.path().join("exclusive.duckdb")).unwrap()),
    ];
    for store in stores {
        assert_eq!(store.end_cursor().unwrap(), Cursor::BEGINNING);
        store.append_logs(&[log(0, "a", "x"), log(1, "a", "y")]).unwrap();
        let cursor = store.end_cursor().unwrap();
        store.delete_logs_before(at(100)).unwrap();
        assert_eq!(store.end_cursor().unwrap(), cursor);
    }
}

conformance! {
    logs {
        gives_back_what_was_appended,
        appending_again_changes_nothing,
        what_is_stored_is_found_wherever_it_overlaps,
        same_id_at_another_time_is_another_log,
        an_id_is_kept_as_it_is_written,
        an_append_is_seen_by_open_scans_only_later,
        newest_first_reverses_oldest_first,
        equal_times_keep_the_order_of_commits,
        limits_after_ordering,
        finds_logs_by_their_keys,
        logs_in_any_order_are_the_same,
        pages_go_on_where_they_ended,
        a_page_after_a_deleted_log_starts_at_another_time,
        ranges_are_half_open,
        tests_columns,
        tests_paths,
        tests_addresses,
        tests_text,
        filters_combine,
        finds_whole_words_and_addresses,
        ignores_case_beyond_ascii,
        counts,
        counts_by_fields,
        histogram_counts_stretches,
        refuses_a_histogram_of_no_width,
        reads_after_cursors_in_commit_order,
        cursors_survive_deletion,
        deletes_before_a_time,
        deletes_what_passes_a_filter,
        keeps_odd_text,
        keeps_what_many_logs_have_in_common,
        keeps_times_at_the_edges,
        takes_sql_for_text,
        statistics_count,
        statistics_say_which_logs_have_no_time,
        logs_that_may_hold_a_word_are_found,
        logs_that_may_hold_an_observable_are_found,
    }
    alerts {
        stores_alerts_once,
        refuses_incomplete_alerts_as_a_whole,
        fetches_alerts_by_severity,
        fetches_alerts_by_field,
        finds_an_alert_by_its_id,
        acknowledges_all_or_none,
        alerts_keep_every_field,
        finds_an_alert_by_the_beginning_of_its_id,
        orders_alerts_by_their_risk,
        an_alert_has_a_history,
        an_event_is_appended_once,
        a_status_and_its_flag_say_the_same,
        deletes_resolved_alerts,
    }
    detections {
        counts_matches_of_one_window_in_one_alert,
        a_match_that_comes_again_is_not_counted,
        order_and_batches_do_not_matter,
        an_alert_looks_like_its_earliest_match,
        an_alert_keeps_its_first_logs_and_the_latest,
        a_closed_alert_that_is_hit_again_has_a_successor,
        suppressed_matches_are_stored_and_counted,
        suppressions_end_at_an_event_time,
        keeps_suppressions,
        hunts_mark_what_they_find,
        detections_move_a_consumer_or_change_nothing,
        keeps_hits_once,
        forgets_old_hits_and_counts_late_matches,
        fetches_alerts_by_rule_tag_and_status,
        keeps_which_alerts_wait_for_a_receiver,
        counts_what_rules_found_by_day,
        a_lookback_moves_with_its_matches_or_not_at_all,
    }
    consumers {
        a_consumer_begins_without_position,
        commit_moves_and_stores,
        commit_from_elsewhere_changes_nothing,
        incomplete_alerts_do_not_move_a_consumer,
        a_consumer_is_told_what_was_deleted_before_it_read_it,
    }
    files {
        positions_of_files_are_kept,
        logs_and_positions_are_stored_together_or_not_at_all,
    }
    intel {
        upserts_replace,
        fetches_intel_by_condition,
        replaces_what_a_source_said,
        the_version_of_intel_changes_with_it,
        expires_at_the_time,
        numbers_imports_by_what_they_add,
    }
    rules {
        rules_keep_their_creation_time,
        fetches_rules_by_condition,
        finds_a_rule_by_the_beginning_of_its_id,
        switches_rules,
        refuses_incomplete_rules_as_a_whole,
    }
    fetcher {
        yields_each_log_once_in_commit_order,
        starts_where_it_is_told,
        a_consumer_goes_on_where_it_stopped,
        the_slower_of_two_is_told,
        yields_only_what_matches,
        stops_while_it_waits,
        calls_back,
        a_batch_commits_detections,
    }
}
