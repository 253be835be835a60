-- An id that is a UUID as RFC 9562 writes it, in lower case, is in uuid, and id is then empty. Logs of earlier versions
-- keep it in id.
ALTER TABLE log_rows ALTER COLUMN id DROP NOT NULL;
ALTER TABLE log_rows ADD COLUMN uuid UUID;

CREATE OR REPLACE VIEW log_texts AS
SELECT
    /*:seq*/seq/*:*/,
    event_time,
    coalesce(CAST(uuid AS VARCHAR), id) AS id,
    "timestamp",
    CASE
        WHEN layout IS NULL THEN raw
        ELSE format(substr(layout, strpos(layout, chr(10)) + 1), coalesce("timestamp", ''), coalesce(appname, ''),
            coalesce(file, ''), coalesce(host, ''), coalesce(hostname, ''), coalesce(message, ''),
            replace(replace(coalesce(message, ''), '\', '\\'), '"', '\"'), coalesce(procid, 0),
            coalesce(source_type, ''))
    END AS raw,
    appname,
    file,
    host,
    hostname,
    message,
    procid,
    source_type,
    CASE
        WHEN layout IS NULL THEN normalized
        WHEN starts_with(layout, chr(10)) THEN NULL
        ELSE CAST(format(substr(layout, 1, strpos(layout, chr(10)) - 1), coalesce("timestamp", ''),
            coalesce(appname, ''), coalesce(file, ''), coalesce(host, ''), coalesce(hostname, ''),
            coalesce(message, ''), replace(replace(coalesce(message, ''), '\', '\\'), '"', '\"'),
            coalesce(procid, 0), coalesce(source_type, '')) AS JSON)
    END AS normalized,
    metadata,
    ingestion_time,
    source_ip,
    dest_ip,
    source_port,
    dest_port,
    "user",
    process,
    action,
    outcome,
    level,
    layout,
    log_rows.raw AS stored_raw,
    log_rows.normalized AS stored_normalized,
    uuid AS stored_uuid,
    log_rows.id AS stored_id/*:place*//*:*/
FROM log_rows;

CREATE OR REPLACE VIEW logs AS
SELECT seq, event_time, id, "timestamp", raw, appname, file, host, hostname, message, procid, source_type, normalized,
    metadata, ingestion_time, source_ip, dest_ip, source_port, dest_port, "user", process, action, outcome, level
FROM log_texts;
