-- Numbers imports of intelligence, so that consumers look back for what was added since. What was there before has none.
ALTER TABLE threat_intel ADD COLUMN import_number BIGINT;

-- How far consumers have compared imports with stored logs: see Lookback.
CREATE TABLE lookbacks (
    consumer VARCHAR /*:key*/PRIMARY KEY/*:*/,
    done BIGINT NOT NULL,
    target BIGINT NOT NULL,
    event_time TIMESTAMP,
    log_id VARCHAR
);
