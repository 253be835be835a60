-- The tables of version 5 in a lake. Keys are looked for by whoever writes: see lake::Turn.
CREATE TABLE log_rows (
    -- The place among the logs of the same commit: see the view log_texts.
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
    level VARCHAR,
    layout VARCHAR
);
-- Old logs go by dropping files, and a range of time reads its own files only.
ALTER TABLE log_rows SET PARTITIONED BY (year(event_time), month(event_time), day(event_time));
ALTER TABLE log_rows SET SORTED BY (event_time, seq);

CREATE TABLE alerts (
    id VARCHAR NOT NULL,
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
    id VARCHAR NOT NULL,
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
    id VARCHAR NOT NULL,
    rule_name VARCHAR NOT NULL,
    rule_type VARCHAR NOT NULL,
    rule_definition JSON NOT NULL,
    enabled BOOLEAN NOT NULL,
    created_at TIMESTAMP NOT NULL,
    updated_at TIMESTAMP NOT NULL
);

CREATE TABLE consumers (
    name VARCHAR NOT NULL,
    position BIGINT NOT NULL,
    missed BIGINT
);

CREATE TABLE logstore (
    schema_version BIGINT NOT NULL,
    last_seq BIGINT NOT NULL
);

CREATE TABLE file_positions (
    id VARCHAR NOT NULL,
    path VARCHAR NOT NULL,
    bytes BIGINT NOT NULL,
    head VARCHAR NOT NULL,
    tail VARCHAR NOT NULL,
    in_array BOOLEAN NOT NULL,
    line_parts BIGINT NOT NULL,
    last_time TIMESTAMP
);
