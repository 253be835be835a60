-- The life of an alert: see Alert.
ALTER TABLE alerts ADD COLUMN process VARCHAR;
ALTER TABLE alerts ADD COLUMN rule_id VARCHAR;
ALTER TABLE alerts ADD COLUMN tags JSON;
ALTER TABLE alerts ADD COLUMN status VARCHAR DEFAULT 'new';
ALTER TABLE alerts ADD COLUMN verdict VARCHAR;
ALTER TABLE alerts ADD COLUMN assignee VARCHAR;
ALTER TABLE alerts ADD COLUMN count BIGINT DEFAULT 1;
ALTER TABLE alerts ADD COLUMN first_seen TIMESTAMP;
ALTER TABLE alerts ADD COLUMN last_seen TIMESTAMP;
ALTER TABLE alerts ADD COLUMN updated_at TIMESTAMP;
ALTER TABLE alerts ADD COLUMN fingerprint VARCHAR;
ALTER TABLE alerts ADD COLUMN window_start TIMESTAMP;
ALTER TABLE alerts ADD COLUMN window_end TIMESTAMP;
ALTER TABLE alerts ADD COLUMN generation BIGINT DEFAULT 1;
ALTER TABLE alerts ADD COLUMN previous_id VARCHAR;
ALTER TABLE alerts ADD COLUMN found_later BOOLEAN DEFAULT false;
ALTER TABLE alerts ADD COLUMN is_settled BOOLEAN DEFAULT false;

-- The logs of alerts, each once: those that are counted, so that none is counted twice, and those that led to them.
-- When an alert is settled, only the logs that it keeps stay.
CREATE TABLE alert_logs (
    alert_id VARCHAR NOT NULL,
    event_time TIMESTAMP NOT NULL,
    log_id VARCHAR NOT NULL,
    is_counted BOOLEAN NOT NULL
);

-- What was done to alerts. Rows are only added.
CREATE TABLE alert_events (
    alert_id VARCHAR NOT NULL,
    id VARCHAR NOT NULL,
    happened_at TIMESTAMP NOT NULL,
    actor VARCHAR,
    action VARCHAR NOT NULL,
    value VARCHAR,
    note VARCHAR
);

CREATE TABLE suppressions (
    id VARCHAR /*:key*/PRIMARY KEY/*:*/,
    rule_id VARCHAR,
    filter VARCHAR NOT NULL,
    reason VARCHAR NOT NULL,
    owner VARCHAR,
    created_at TIMESTAMP NOT NULL,
    expires_at TIMESTAMP
);

-- The logs that match rules of correlations.
CREATE TABLE hits (
    correlation_id VARCHAR NOT NULL,
    group_key VARCHAR NOT NULL,
    event_time TIMESTAMP NOT NULL,
    log_id VARCHAR NOT NULL,
    rule_id VARCHAR NOT NULL,
    rule_version VARCHAR NOT NULL,
    value VARCHAR
);
