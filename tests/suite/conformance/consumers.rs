use logstore::{Alert, AlertQuery, Cursor, Error, Severity, Store};

use crate::support::{alert, at, log};

pub(super) fn a_consumer_begins_without_position(store: &dyn Store) {
    assert_eq!(store.position("new").unwrap(), None);
}

pub(super) fn commit_moves_and_stores(store: &dyn Store) {
    store.append_logs(&[log(0, "a", "x"), log(1, "a", "y")]).unwrap();
    let first = store.read_after(Cursor::BEGINNING, 1).unwrap().next;
    let end = store.end_cursor().unwrap();
    let twice = [alert("1", Severity::Low, 0), alert("1", Severity::Low, 0)];
    let committed = store.commit("c", None, first, &twice).unwrap();
    assert_eq!((committed.stored, committed.missed), (1, 0));
    store.commit("c", Some(first), end, &[]).unwrap();
    assert_eq!(store.position("c").unwrap(), Some(end));
    assert_eq!(store.position("other").unwrap(), None);
    store.commit("a", None, first, &[]).unwrap();
    let positions = [("a".to_owned(), first), ("c".to_owned(), end)];
    assert_eq!(store.positions().unwrap(), positions);
    assert_eq!(store.fetch_alerts(&AlertQuery::new()).unwrap().len(), 1);
    assert_eq!(store.stats().unwrap().consumers, 2);
}

pub(super) fn commit_from_elsewhere_changes_nothing(store: &dyn Store) {
    store.append_logs(&[log(0, "a", "x")]).unwrap();
    let end = store.end_cursor().unwrap();
    store.commit("c", None, end, &[]).unwrap();
    for from in [None, Some(Cursor::BEGINNING)] {
        let outcome = store.commit("c", from, end, &[alert("1", Severity::Low, 0)]);
        assert!(matches!(outcome, Err(Error::Conflict { .. })), "{from:?}");
    }
    let unknown = store.commit("new", Some(end), end, &[alert("1", Severity::Low, 0)]);
    assert!(matches!(unknown, Err(Error::Conflict { .. })));
    assert!(store.fetch_alerts(&AlertQuery::new()).unwrap().is_empty());
    assert_eq!(store.position("new").unwrap(), None);
}

pub(super) fn incomplete_alerts_do_not_move_a_consumer(store: &dyn Store) {
    let incomplete = Alert::new("", "heuristic", Severity::Low);
    let outcome = store.commit("c", None, Cursor::BEGINNING, &[incomplete]);
    assert!(matches!(outcome, Err(Error::InvalidInput(_))));
    assert_eq!(store.position("c").unwrap(), None);
}

pub(super) fn a_consumer_is_told_what_was_deleted_before_it_read_it(store: &dyn Store) {
    let logs = [log(0, "a", "x"), log(1, "a", "y"), log(2, "a", "z")];
    store.append_logs(&logs).unwrap();
    let first = store.read_after(Cursor::BEGINNING, 1).unwrap().next;
    let end = store.end_cursor().unwrap();
    store.commit("slow", None, first, &[]).unwrap();
    store.commit("fast", None, end, &[]).unwrap();
    assert_eq!(store.delete_logs_before(at(2)).unwrap(), 2);
    assert_eq!(store.delete_logs_before(at(2)).unwrap(), 0);
    let page = store.read_after(first, 10).unwrap();
    assert_eq!(page.logs.len(), 1);
    assert_eq!(
        store.commit("slow", Some(first), page.next, &[]).unwrap().missed,
        1
    );
    assert_eq!(
        store
            .commit("slow", Some(page.next), page.next, &[])
            .unwrap()
            .missed,
        0
    );
    assert_eq!(store.commit("fast", Some(end), end, &[]).unwrap().missed, 0);
}
