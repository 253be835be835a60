CREATE TABLE logs (
    seq BIGINT NOT NULL,
    event_time TIMESTAMP NOT NULL,
    id VARCHAR NOT NULL,
    "timestamp" VARCHAR,
    raw VARCHAR,
    appname VARCHAR,
    file VARCHAR,
    host VARCHAR,
    hostname VARCHAR,
    message VARCHAR,
    procid BIGINT,
    source_type VARCHAR,
    normalized JSON,
    metadata JSON,
    ingestion_time TIMESTAMP NOT NULL,
    source_ip VARCHAR,
    dest_ip VARCHAR,
    "user" VARCHAR,
    action VARCHAR,
    outcome VARCHAR,
    level VARCHAR
);

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
    host VARCHAR
);

CREATE TABLE threat_intel (
    id VARCHAR /*:key*/PRIMARY KEY/*:*/,
    indicator_type VARCHAR NOT NULL,
    indicator_value VARCHAR NOT NULL,
    threat_type VARCHAR,
    confidence DOUBLE,
    source VARCHAR,
    metadata JSON,
    created_at TIMESTAMP NOT NULL,
    expires_at TIMESTAMP
);

CREATE TABLE detection_rules (
    id VARCHAR /*:key*/PRIMARY KEY/*:*/,
    rule_name VARCHAR NOT NULL,
    rule_type VARCHAR NOT NULL,
    rule_definition JSON NOT NULL,
    enabled BOOLEAN NOT NULL,
    created_at TIMESTAMP NOT NULL,
    updated_at TIMESTAMP NOT NULL
);

CREATE TABLE consumers (
    name VARCHAR /*:key*/PRIMARY KEY/*:*/,
    position BIGINT NOT NULL
);

-- One row: which schema this is, and the sequence number of the last log ever stored. The number lives
-- here because the largest one in logs falls when the newest logs are deleted, and cursors must not.
CREATE TABLE logstore (
    schema_version BIGINT NOT NULL,
    last_seq BIGINT NOT NULL
);
