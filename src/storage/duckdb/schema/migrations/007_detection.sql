-- The life of an alert: see Alert. The table is made anew: DuckDB 1.5.5 fails to commit so many ALTER TABLE with a
-- DEFAULT in one transaction ("another transaction has altered this table") where the table has rows.
CREATE TABLE alerts_of_version_6 AS SELECT * FROM alerts;

DROP TABLE alerts;

CREATE TABLE alerts (
    id VARCHAR /*:key*/PRIMARY KEY/*:*/,
    log_id VARCHAR,
    alert_type VARCHAR NOT NULL,
    detection_method VARCHAR NOT NULL,
    severity VARCHAR NOT NULL,
    description VARCHAR,
    metadata JSON,
    created_at TIMESTAMP NOT NULL,
    acknowledged BOOLEAN NOT NULL,
    priority_score DOUBLE NOT NULL,
    source_ip VARCHAR,
    dest_ip VARCHAR,
    "user" VARCHAR,
    host VARCHAR,
    process VARCHAR,
    rule_id VARCHAR,
    tags JSON,
    status VARCHAR NOT NULL DEFAULT 'new',
    verdict VARCHAR,
    assignee VARCHAR,
    count BIGINT NOT NULL DEFAULT 1,
    first_seen TIMESTAMP,
    last_seen TIMESTAMP,
    updated_at TIMESTAMP,
    fingerprint VARCHAR,
    window_start TIMESTAMP,
    window_end TIMESTAMP,
    generation BIGINT NOT NULL DEFAULT 1,
    previous_id VARCHAR,
    found_later BOOLEAN NOT NULL DEFAULT false,
    is_settled BOOLEAN NOT NULL DEFAULT false
);

INSERT INTO alerts (id, log_id, alert_type, detection_method, severity, description, metadata, created_at, acknowledged,
    priority_score, source_ip, dest_ip, "user", host, status, updated_at)
SELECT id, log_id, alert_type, detection_method, severity, description, metadata, created_at, acknowledged,
    priority_score, source_ip, dest_ip, "user", host, CASE WHEN acknowledged THEN 'in_progress' ELSE 'new' END, created_at
FROM alerts_of_version_6;

DROP TABLE alerts_of_version_6;

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
