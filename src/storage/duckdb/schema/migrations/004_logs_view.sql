INSERT INTO log_rows (seq, event_time, id, "timestamp", raw, appname, file, host, hostname, message, procid, source_type,
    normalized, metadata, ingestion_time, source_ip, dest_ip, "user", action, outcome, level)
SELECT seq, event_time, id, "timestamp", raw, appname, file, host, hostname, message, procid, source_type,
    normalized, metadata, ingestion_time, source_ip, dest_ip, "user", action, outcome, level
FROM logs
ORDER BY seq;

DROP TABLE logs;

-- A layout is normalized and raw, a line end between them, with {0} to {8} where they repeat another column, in the
-- order of the arguments here; {6} is the message as it stands in a JSON string. JSON holds no line end. Readers
-- that fill layouts themselves need nothing but the layout where there is one.
CREATE VIEW log_texts AS
SELECT
    /*:seq*/seq/*:*/,
    event_time,
    id,
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
    "user",
    action,
    outcome,
    level,
    layout/*:place*//*:*/
FROM log_rows;

-- What a log is for whoever asks.
CREATE VIEW logs AS
SELECT seq, event_time, id, "timestamp", raw, appname, file, host, hostname, message, procid, source_type, normalized,
    metadata, ingestion_time, source_ip, dest_ip, "user", action, outcome, level
FROM log_texts;
