use logstore::ingest::{FilePosition, FileProgress, ResumePoint};
use logstore::{Error, LogQuery, Store};

use crate::support::{at, log};

fn position(id: &str, bytes: u64) -> FilePosition {
    FilePosition {
        id: id.to_owned(),
        path: "/var/log/auth.log".to_owned(),
        bytes,
        head_fingerprint: "ab".to_owned(),
        tail_fingerprint: "cd".to_owned(),
        resume: ResumePoint::LineStart,
        last_time: None,
    }
}

fn progress(id: &str, from: Option<u64>, bytes: u64) -> FileProgress {
    FileProgress {
        from,
        to: position(id, bytes),
    }
}

pub(super) fn positions_of_files_are_kept(store: &dyn Store) {
    assert_eq!(store.file_positions().unwrap(), []);
    let odd = FilePosition {
        path: "/it's \u{202e} \u{1f980}".to_owned(),
        resume: ResumePoint::LongLine(7),
        last_time: Some(at(1)),
        ..position("b", u64::try_from(i64::MAX).unwrap())
    };
    let in_array = FilePosition {
        resume: ResumePoint::Array,
        ..position("a", 1)
    };
    let new = [&odd, &in_array].map(|to| FileProgress {
        from: None,
        to: to.clone(),
    });
    let appended = store.append_logs_from_files(&[log(0, "a", "x")], &new).unwrap();
    assert_eq!((appended.stored, appended.duplicates), (1, 0));
    assert_eq!(store.file_positions().unwrap(), [in_array, odd.clone()]);
    store
        .append_logs_from_files(&[], &[progress("a", Some(1), 2)])
        .unwrap();
    assert_eq!(store.file_positions().unwrap(), [position("a", 2), odd]);
}

pub(super) fn logs_and_positions_are_stored_together_or_not_at_all(store: &dyn Store) {
    store
        .append_logs_from_files(&[log(0, "a", "x")], &[progress("a", None, 10)])
        .unwrap();
    for from in [None, Some(9), Some(11)] {
        let moved = [progress("b", None, 5), progress("a", from, 20)];
        let outcome = store.append_logs_from_files(&[log(1, "a", "y")], &moved);
        assert!(
            matches!(outcome, Err(Error::Conflict { what: "file", .. })),
            "{from:?}"
        );
    }
    assert_eq!(store.count_logs(&LogQuery::new()).unwrap(), 1);
    assert_eq!(store.file_positions().unwrap(), [position("a", 10)]);
    // One file may come twice in a batch, as long as it goes on from where it was.
    let twice = [progress("a", Some(10), 20), progress("a", Some(20), 30)];
    store.append_logs_from_files(&[log(1, "a", "y")], &twice).unwrap();
    assert_eq!(store.file_positions().unwrap(), [position("a", 30)]);
}
