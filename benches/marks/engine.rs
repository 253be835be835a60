//! The engine alone, as whoever does without logstore would use it.

use std::path::Path;

use duckdb::Connection;
use duckdb::types::Value;

/// The columns that a store has.
const TABLE: &str = r#"CREATE TABLE logs (seq BIGINT, event_time TIMESTAMP, id VARCHAR, "timestamp" VARCHAR, raw VARCHAR,
    appname VARCHAR, file VARCHAR, host VARCHAR, hostname VARCHAR, message VARCHAR, procid BIGINT, source_type VARCHAR,
    normalized JSON, metadata JSON, ingestion_time TIMESTAMP, source_ip VARCHAR, dest_ip VARCHAR, "user" VARCHAR,
    action VARCHAR, outcome VARCHAR, level VARCHAR)"#;

pub(crate) fn insert_json(database: &Path, file: &Path) -> u64 {
    let sql = format!(
        r#"INSERT INTO logs SELECT 0, CAST("timestamp" AS TIMESTAMP), CAST(uuid() AS VARCHAR), "timestamp", raw, appname,
            file, host, hostname, message, TRY_CAST(procid AS BIGINT), source_type, normalized, metadata,
            TIMESTAMP '2025-01-15', normalized->>'$.src_ip', normalized->>'$.dst_ip', normalized->>'$.user',
            normalized->>'$.event', normalized->>'$.outcome', metadata->>'$.level'
        FROM read_json('{}', format = 'newline_delimited', columns = {{id: 'VARCHAR', "timestamp": 'VARCHAR',
            raw: 'VARCHAR', appname: 'VARCHAR', file: 'VARCHAR', host: 'VARCHAR', hostname: 'VARCHAR',
            message: 'VARCHAR', procid: 'VARCHAR', source_type: 'VARCHAR', normalized: 'JSON', metadata: 'JSON'}})"#,
        file.display()
    );
    insert(database, &sql)
}

pub(crate) fn insert_lines(database: &Path, file: &Path) -> u64 {
    const LINE: &str = r"'^(\w{3} +\d+ [\d:]+) (\S+) ([^\[: ]+)(?:\[(\d+)\])?: (.*)$'";
    let part = |group: u8| format!("regexp_extract(line, {LINE}, {group})");
    let sql = format!(
        "INSERT INTO logs SELECT 0, strptime('2025 ' || {time}, '%Y %b %d %H:%M:%S'), CAST(uuid() AS VARCHAR), {time},
            line, {program}, '{file}', {host}, {host}, {message}, TRY_CAST({process} AS BIGINT), 'syslog', NULL, NULL,
            TIMESTAMP '2025-01-15', regexp_extract(line, '\\d+\\.\\d+\\.\\d+\\.\\d+'), NULL,
            regexp_extract(line, '(?:user=|for (?:invalid user )?)(\\S+)', 1), NULL, NULL, NULL
        FROM read_csv('{file}', columns = {{line: 'VARCHAR'}}, delim = '\x01', quote = '', escape = '', header = false)",
        time = part(1),
        host = part(2),
        program = part(3),
        process = part(4),
        message = part(5),
        file = file.display(),
    );
    insert(database, &sql)
}

fn insert(database: &Path, sql: &str) -> u64 {
    let engine = Connection::open(database).expect("an engine");
    engine.execute_batch(TABLE).expect("a table");
    let inserted = engine.execute(sql, []).expect("rows are inserted");
    engine.execute_batch("CHECKPOINT").expect("a checkpoint");
    engine.close().expect("the file is closed");
    inserted as u64
}

pub(crate) fn number(engine: &Connection, sql: &str) -> u64 {
    engine.query_row(sql, [], |row| row.get(0)).expect("a number")
}

/// The number that a query gives, or of how many rows it is.
pub(crate) fn answer(engine: &Connection, sql: &str) -> u64 {
    let mut statement = engine.prepare(sql).expect("SQL");
    let rows = statement
        .query_map([], |row| row.get::<_, Value>(0))
        .expect("rows");
    let rows: Vec<Value> = rows.collect::<Result<_, _>>().expect("rows");
    match rows[..] {
        [Value::BigInt(number)] => number.unsigned_abs(),
        _ => rows.len() as u64,
    }
}

/// How many rows a query gives, as Arrow.
pub(crate) fn arrow_rows(engine: &Connection, sql: &str) -> usize {
    let mut statement = engine.prepare(sql).expect("SQL");
    statement
        .query_arrow([])
        .expect("rows")
        .map(|batch| batch.num_rows())
        .sum()
}
