-- A log has the templates that its texts share with other logs, and its own variables. The column template is that of
-- raw. Templates are texts of format, whose arguments are columns, the time in some formats, variables and identifiers.
-- These have chr(31) between them. Templates that do not repeat are in layout, with chr(30) after each: normalized,
-- message, timestamp and raw. Logs with variables have none of these texts themselves. Logs of earlier versions have no
-- variables, and neither have those that can have no templates, such as very long ones, whose identifiers are empty.
ALTER TABLE log_rows ADD COLUMN template VARCHAR;
ALTER TABLE log_rows ADD COLUMN variables VARCHAR /*:compression*/USING COMPRESSION zstd/*:*/;
ALTER TABLE log_rows ADD COLUMN identifiers VARCHAR;
ALTER TABLE log_rows ADD COLUMN normalized_template VARCHAR;
ALTER TABLE log_rows ADD COLUMN message_template VARCHAR;
ALTER TABLE log_rows ADD COLUMN timestamp_template VARCHAR;

-- For logstore itself, which has the function fill_template.
CREATE OR REPLACE VIEW log_texts AS
SELECT
    /*:seq*/seq/*:*/,
    event_time,
    coalesce(CAST(uuid AS VARCHAR), id) AS id,
    CASE
        WHEN variables IS NOT NULL THEN fill_template(
            coalesce(timestamp_template, nullif(split_part(layout, chr(30), 3), '')),
            concat(appname, chr(31), file, chr(31), host, chr(31), hostname, chr(31), source_type, chr(31), procid, chr(31),
            source_ip, chr(31), dest_ip, chr(31), "user", chr(31), source_port, chr(31), dest_port, chr(31), id,
            chr(31), variables, chr(30), identifiers),
            epoch_us(event_time))
        ELSE "timestamp"
    END AS "timestamp",
    CASE
        WHEN variables IS NOT NULL THEN fill_template(
            coalesce(template, split_part(layout, chr(30), 4)),
            concat(appname, chr(31), file, chr(31), host, chr(31), hostname, chr(31), source_type, chr(31), procid, chr(31),
            source_ip, chr(31), dest_ip, chr(31), "user", chr(31), source_port, chr(31), dest_port, chr(31), id,
            chr(31), variables, chr(30), identifiers),
            epoch_us(event_time))
        WHEN layout IS NULL THEN raw
        ELSE format(substr(layout, strpos(layout, chr(10)) + 1), coalesce("timestamp", ''),
            coalesce(appname, ''), coalesce(file, ''), coalesce(host, ''), coalesce(hostname, ''),
            coalesce(message, ''), replace(replace(coalesce(message, ''), '\', '\\'), '"', '\"'),
            coalesce(procid, 0), coalesce(source_type, ''))
    END AS raw,
    appname,
    file,
    host,
    hostname,
    CASE
        WHEN variables IS NOT NULL THEN fill_template(
            coalesce(message_template, nullif(split_part(layout, chr(30), 2), '')),
            concat(appname, chr(31), file, chr(31), host, chr(31), hostname, chr(31), source_type, chr(31), procid, chr(31),
            source_ip, chr(31), dest_ip, chr(31), "user", chr(31), source_port, chr(31), dest_port, chr(31), id,
            chr(31), variables, chr(30), identifiers),
            epoch_us(event_time))
        ELSE message
    END AS message,
    procid,
    source_type,
    CASE
        WHEN variables IS NOT NULL THEN fill_template(
            coalesce(normalized_template, nullif(split_part(layout, chr(30), 1), '')),
            concat(appname, chr(31), file, chr(31), host, chr(31), hostname, chr(31), source_type, chr(31), procid, chr(31),
            source_ip, chr(31), dest_ip, chr(31), "user", chr(31), source_port, chr(31), dest_port, chr(31), id,
            chr(31), variables, chr(30), identifiers),
            epoch_us(event_time))
        WHEN layout IS NULL THEN CAST(normalized AS VARCHAR)
        WHEN starts_with(layout, chr(10)) THEN NULL
        ELSE format(substr(layout, 1, strpos(layout, chr(10)) - 1), coalesce("timestamp", ''),
            coalesce(appname, ''), coalesce(file, ''), coalesce(host, ''), coalesce(hostname, ''),
            coalesce(message, ''), replace(replace(coalesce(message, ''), '\', '\\'), '"', '\"'),
            coalesce(procid, 0), coalesce(source_type, ''))
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
    template,
    variables,
    identifiers,
    normalized_template,
    message_template,
    timestamp_template,
    log_rows.raw AS stored_raw,
    log_rows.normalized AS stored_normalized,
    log_rows.message AS stored_message,
    log_rows."timestamp" AS stored_timestamp,
    uuid AS stored_uuid,
    log_rows.id AS stored_id/*:place*//*:*/
FROM log_rows;

-- For any program.
CREATE OR REPLACE VIEW logs AS
SELECT
    /*:seq*/seq/*:*/,
    event_time,
    coalesce(CAST(uuid AS VARCHAR), id) AS id,
    CASE
        WHEN timestamp_template = '{12}' THEN strftime(event_time, '%Y-%m-%dT%H:%M:%S.%gZ')
        WHEN timestamp_template = '{13}' THEN strftime(event_time, '%Y-%m-%dT%H:%M:%SZ')
        WHEN timestamp_template = '{14}' THEN strftime(event_time, '%Y-%m-%dT%H:%M:%S.%fZ')
        WHEN timestamp_template = '{15}' THEN concat(strftime(event_time, '%b '), lpad(strftime(event_time, '%-d'), 2, ' '), strftime(event_time, ' %H:%M:%S'))
        WHEN timestamp_template = '{16}' THEN strftime(event_time, '%a %b %d %H:%M:%S %Y')
        WHEN timestamp_template = '{17}' THEN strftime(event_time, '%Y-%m-%d %H:%M:%S')
        WHEN timestamp_template = '{18}' THEN strftime(event_time, '%d/%b/%Y:%H:%M:%S')
        WHEN timestamp_template = '{19}' THEN strftime(event_time, '%y%m%d %H%M%S')
        WHEN timestamp_template = '{20}' THEN strftime(event_time, '%Y-%m-%d %H:%M:%S,%g')
        WHEN variables IS NOT NULL THEN list_transform(
            [list_concat(list_resize(string_split(variables, chr(31)), 64), string_split(identifiers, chr(31)))],
            lambda v: format(coalesce(timestamp_template, nullif(split_part(layout, chr(30), 3), '')),
            coalesce(appname, ''), coalesce(file, ''), coalesce(host, ''), coalesce(hostname, ''),
            coalesce(source_type, ''), coalesce(CAST(procid AS VARCHAR), ''), coalesce(source_ip, ''),
            coalesce(dest_ip, ''), coalesce("user", ''), coalesce(CAST(source_port AS VARCHAR), ''),
            coalesce(CAST(dest_port AS VARCHAR), ''), coalesce(id, ''),
            CASE WHEN contains(timestamp_template, '{12}') OR contains(layout, '{12}') THEN strftime(event_time, '%Y-%m-%dT%H:%M:%S.%gZ') ELSE '' END,
            CASE WHEN contains(timestamp_template, '{13}') OR contains(layout, '{13}') THEN strftime(event_time, '%Y-%m-%dT%H:%M:%SZ') ELSE '' END,
            CASE WHEN contains(timestamp_template, '{14}') OR contains(layout, '{14}') THEN strftime(event_time, '%Y-%m-%dT%H:%M:%S.%fZ') ELSE '' END,
            CASE WHEN contains(timestamp_template, '{15}') OR contains(layout, '{15}') THEN concat(strftime(event_time, '%b '), lpad(strftime(event_time, '%-d'), 2, ' '), strftime(event_time, ' %H:%M:%S')) ELSE '' END,
            CASE WHEN contains(timestamp_template, '{16}') OR contains(layout, '{16}') THEN strftime(event_time, '%a %b %d %H:%M:%S %Y') ELSE '' END,
            CASE WHEN contains(timestamp_template, '{17}') OR contains(layout, '{17}') THEN strftime(event_time, '%Y-%m-%d %H:%M:%S') ELSE '' END,
            CASE WHEN contains(timestamp_template, '{18}') OR contains(layout, '{18}') THEN strftime(event_time, '%d/%b/%Y:%H:%M:%S') ELSE '' END,
            CASE WHEN contains(timestamp_template, '{19}') OR contains(layout, '{19}') THEN strftime(event_time, '%y%m%d %H%M%S') ELSE '' END,
            CASE WHEN contains(timestamp_template, '{20}') OR contains(layout, '{20}') THEN strftime(event_time, '%Y-%m-%d %H:%M:%S,%g') ELSE '' END,
            coalesce(v[1], ''), coalesce(v[2], ''), coalesce(v[3], ''), coalesce(v[4], ''), coalesce(v[5], ''),
            coalesce(v[6], ''), coalesce(v[7], ''), coalesce(v[8], ''), coalesce(v[9], ''), coalesce(v[10], ''),
            coalesce(v[11], ''), coalesce(v[12], ''), coalesce(v[13], ''), coalesce(v[14], ''), coalesce(v[15], ''),
            coalesce(v[16], ''), coalesce(v[17], ''), coalesce(v[18], ''), coalesce(v[19], ''), coalesce(v[20], ''),
            coalesce(v[21], ''), coalesce(v[22], ''), coalesce(v[23], ''), coalesce(v[24], ''), coalesce(v[25], ''),
            coalesce(v[26], ''), coalesce(v[27], ''), coalesce(v[28], ''), coalesce(v[29], ''), coalesce(v[30], ''),
            coalesce(v[31], ''), coalesce(v[32], ''), coalesce(v[33], ''), coalesce(v[34], ''), coalesce(v[35], ''),
            coalesce(v[36], ''), coalesce(v[37], ''), coalesce(v[38], ''), coalesce(v[39], ''), coalesce(v[40], ''),
            coalesce(v[41], ''), coalesce(v[42], ''), coalesce(v[43], ''), coalesce(v[44], ''), coalesce(v[45], ''),
            coalesce(v[46], ''), coalesce(v[47], ''), coalesce(v[48], ''), coalesce(v[49], ''), coalesce(v[50], ''),
            coalesce(v[51], ''), coalesce(v[52], ''), coalesce(v[53], ''), coalesce(v[54], ''), coalesce(v[55], ''),
            coalesce(v[56], ''), coalesce(v[57], ''), coalesce(v[58], ''), coalesce(v[59], ''), coalesce(v[60], ''),
            coalesce(v[61], ''), coalesce(v[62], ''), coalesce(v[63], ''), coalesce(v[64], ''), coalesce(v[65], ''),
            coalesce(v[66], ''), coalesce(v[67], ''), coalesce(v[68], ''), coalesce(v[69], ''), coalesce(v[70], ''),
            coalesce(v[71], ''), coalesce(v[72], '')))[1]
        ELSE "timestamp"
    END AS "timestamp",
    CASE
        WHEN variables IS NOT NULL THEN list_transform(
            [list_concat(list_resize(string_split(variables, chr(31)), 64), string_split(identifiers, chr(31)))],
            lambda v: format(coalesce(template, split_part(layout, chr(30), 4)),
            coalesce(appname, ''), coalesce(file, ''), coalesce(host, ''), coalesce(hostname, ''),
            coalesce(source_type, ''), coalesce(CAST(procid AS VARCHAR), ''), coalesce(source_ip, ''),
            coalesce(dest_ip, ''), coalesce("user", ''), coalesce(CAST(source_port AS VARCHAR), ''),
            coalesce(CAST(dest_port AS VARCHAR), ''), coalesce(id, ''),
            CASE WHEN contains(template, '{12}') OR contains(layout, '{12}') THEN strftime(event_time, '%Y-%m-%dT%H:%M:%S.%gZ') ELSE '' END,
            CASE WHEN contains(template, '{13}') OR contains(layout, '{13}') THEN strftime(event_time, '%Y-%m-%dT%H:%M:%SZ') ELSE '' END,
            CASE WHEN contains(template, '{14}') OR contains(layout, '{14}') THEN strftime(event_time, '%Y-%m-%dT%H:%M:%S.%fZ') ELSE '' END,
            CASE WHEN contains(template, '{15}') OR contains(layout, '{15}') THEN concat(strftime(event_time, '%b '), lpad(strftime(event_time, '%-d'), 2, ' '), strftime(event_time, ' %H:%M:%S')) ELSE '' END,
            CASE WHEN contains(template, '{16}') OR contains(layout, '{16}') THEN strftime(event_time, '%a %b %d %H:%M:%S %Y') ELSE '' END,
            CASE WHEN contains(template, '{17}') OR contains(layout, '{17}') THEN strftime(event_time, '%Y-%m-%d %H:%M:%S') ELSE '' END,
            CASE WHEN contains(template, '{18}') OR contains(layout, '{18}') THEN strftime(event_time, '%d/%b/%Y:%H:%M:%S') ELSE '' END,
            CASE WHEN contains(template, '{19}') OR contains(layout, '{19}') THEN strftime(event_time, '%y%m%d %H%M%S') ELSE '' END,
            CASE WHEN contains(template, '{20}') OR contains(layout, '{20}') THEN strftime(event_time, '%Y-%m-%d %H:%M:%S,%g') ELSE '' END,
            coalesce(v[1], ''), coalesce(v[2], ''), coalesce(v[3], ''), coalesce(v[4], ''), coalesce(v[5], ''),
            coalesce(v[6], ''), coalesce(v[7], ''), coalesce(v[8], ''), coalesce(v[9], ''), coalesce(v[10], ''),
            coalesce(v[11], ''), coalesce(v[12], ''), coalesce(v[13], ''), coalesce(v[14], ''), coalesce(v[15], ''),
            coalesce(v[16], ''), coalesce(v[17], ''), coalesce(v[18], ''), coalesce(v[19], ''), coalesce(v[20], ''),
            coalesce(v[21], ''), coalesce(v[22], ''), coalesce(v[23], ''), coalesce(v[24], ''), coalesce(v[25], ''),
            coalesce(v[26], ''), coalesce(v[27], ''), coalesce(v[28], ''), coalesce(v[29], ''), coalesce(v[30], ''),
            coalesce(v[31], ''), coalesce(v[32], ''), coalesce(v[33], ''), coalesce(v[34], ''), coalesce(v[35], ''),
            coalesce(v[36], ''), coalesce(v[37], ''), coalesce(v[38], ''), coalesce(v[39], ''), coalesce(v[40], ''),
            coalesce(v[41], ''), coalesce(v[42], ''), coalesce(v[43], ''), coalesce(v[44], ''), coalesce(v[45], ''),
            coalesce(v[46], ''), coalesce(v[47], ''), coalesce(v[48], ''), coalesce(v[49], ''), coalesce(v[50], ''),
            coalesce(v[51], ''), coalesce(v[52], ''), coalesce(v[53], ''), coalesce(v[54], ''), coalesce(v[55], ''),
            coalesce(v[56], ''), coalesce(v[57], ''), coalesce(v[58], ''), coalesce(v[59], ''), coalesce(v[60], ''),
            coalesce(v[61], ''), coalesce(v[62], ''), coalesce(v[63], ''), coalesce(v[64], ''), coalesce(v[65], ''),
            coalesce(v[66], ''), coalesce(v[67], ''), coalesce(v[68], ''), coalesce(v[69], ''), coalesce(v[70], ''),
            coalesce(v[71], ''), coalesce(v[72], '')))[1]
        WHEN layout IS NULL THEN raw
        ELSE format(substr(layout, strpos(layout, chr(10)) + 1), coalesce("timestamp", ''),
            coalesce(appname, ''), coalesce(file, ''), coalesce(host, ''), coalesce(hostname, ''),
            coalesce(message, ''), replace(replace(coalesce(message, ''), '\', '\\'), '"', '\"'),
            coalesce(procid, 0), coalesce(source_type, ''))
    END AS raw,
    appname,
    file,
    host,
    hostname,
    CASE
        WHEN NOT contains(replace(message_template, '{{', ''), '{')
            THEN replace(replace(message_template, '{{', '{'), '}}', '}')
        WHEN variables IS NOT NULL THEN list_transform(
            [list_concat(list_resize(string_split(variables, chr(31)), 64), string_split(identifiers, chr(31)))],
            lambda v: format(coalesce(message_template, nullif(split_part(layout, chr(30), 2), '')),
            coalesce(appname, ''), coalesce(file, ''), coalesce(host, ''), coalesce(hostname, ''),
            coalesce(source_type, ''), coalesce(CAST(procid AS VARCHAR), ''), coalesce(source_ip, ''),
            coalesce(dest_ip, ''), coalesce("user", ''), coalesce(CAST(source_port AS VARCHAR), ''),
            coalesce(CAST(dest_port AS VARCHAR), ''), coalesce(id, ''),
            CASE WHEN contains(message_template, '{12}') OR contains(layout, '{12}') THEN strftime(event_time, '%Y-%m-%dT%H:%M:%S.%gZ') ELSE '' END,
            CASE WHEN contains(message_template, '{13}') OR contains(layout, '{13}') THEN strftime(event_time, '%Y-%m-%dT%H:%M:%SZ') ELSE '' END,
            CASE WHEN contains(message_template, '{14}') OR contains(layout, '{14}') THEN strftime(event_time, '%Y-%m-%dT%H:%M:%S.%fZ') ELSE '' END,
            CASE WHEN contains(message_template, '{15}') OR contains(layout, '{15}') THEN concat(strftime(event_time, '%b '), lpad(strftime(event_time, '%-d'), 2, ' '), strftime(event_time, ' %H:%M:%S')) ELSE '' END,
            CASE WHEN contains(message_template, '{16}') OR contains(layout, '{16}') THEN strftime(event_time, '%a %b %d %H:%M:%S %Y') ELSE '' END,
            CASE WHEN contains(message_template, '{17}') OR contains(layout, '{17}') THEN strftime(event_time, '%Y-%m-%d %H:%M:%S') ELSE '' END,
            CASE WHEN contains(message_template, '{18}') OR contains(layout, '{18}') THEN strftime(event_time, '%d/%b/%Y:%H:%M:%S') ELSE '' END,
            CASE WHEN contains(message_template, '{19}') OR contains(layout, '{19}') THEN strftime(event_time, '%y%m%d %H%M%S') ELSE '' END,
            CASE WHEN contains(message_template, '{20}') OR contains(layout, '{20}') THEN strftime(event_time, '%Y-%m-%d %H:%M:%S,%g') ELSE '' END,
            coalesce(v[1], ''), coalesce(v[2], ''), coalesce(v[3], ''), coalesce(v[4], ''), coalesce(v[5], ''),
            coalesce(v[6], ''), coalesce(v[7], ''), coalesce(v[8], ''), coalesce(v[9], ''), coalesce(v[10], ''),
            coalesce(v[11], ''), coalesce(v[12], ''), coalesce(v[13], ''), coalesce(v[14], ''), coalesce(v[15], ''),
            coalesce(v[16], ''), coalesce(v[17], ''), coalesce(v[18], ''), coalesce(v[19], ''), coalesce(v[20], ''),
            coalesce(v[21], ''), coalesce(v[22], ''), coalesce(v[23], ''), coalesce(v[24], ''), coalesce(v[25], ''),
            coalesce(v[26], ''), coalesce(v[27], ''), coalesce(v[28], ''), coalesce(v[29], ''), coalesce(v[30], ''),
            coalesce(v[31], ''), coalesce(v[32], ''), coalesce(v[33], ''), coalesce(v[34], ''), coalesce(v[35], ''),
            coalesce(v[36], ''), coalesce(v[37], ''), coalesce(v[38], ''), coalesce(v[39], ''), coalesce(v[40], ''),
            coalesce(v[41], ''), coalesce(v[42], ''), coalesce(v[43], ''), coalesce(v[44], ''), coalesce(v[45], ''),
            coalesce(v[46], ''), coalesce(v[47], ''), coalesce(v[48], ''), coalesce(v[49], ''), coalesce(v[50], ''),
            coalesce(v[51], ''), coalesce(v[52], ''), coalesce(v[53], ''), coalesce(v[54], ''), coalesce(v[55], ''),
            coalesce(v[56], ''), coalesce(v[57], ''), coalesce(v[58], ''), coalesce(v[59], ''), coalesce(v[60], ''),
            coalesce(v[61], ''), coalesce(v[62], ''), coalesce(v[63], ''), coalesce(v[64], ''), coalesce(v[65], ''),
            coalesce(v[66], ''), coalesce(v[67], ''), coalesce(v[68], ''), coalesce(v[69], ''), coalesce(v[70], ''),
            coalesce(v[71], ''), coalesce(v[72], '')))[1]
        ELSE message
    END AS message,
    procid,
    source_type,
    CASE
        WHEN NOT contains(replace(normalized_template, '{{', ''), '{')
            THEN CAST(replace(replace(normalized_template, '{{', '{'), '}}', '}') AS JSON)
        WHEN variables IS NOT NULL THEN CAST(list_transform(
            [list_concat(list_resize(string_split(variables, chr(31)), 64), string_split(identifiers, chr(31)))],
            lambda v: format(coalesce(normalized_template, nullif(split_part(layout, chr(30), 1), '')),
            coalesce(appname, ''), coalesce(file, ''), coalesce(host, ''), coalesce(hostname, ''),
            coalesce(source_type, ''), coalesce(CAST(procid AS VARCHAR), ''), coalesce(source_ip, ''),
            coalesce(dest_ip, ''), coalesce("user", ''), coalesce(CAST(source_port AS VARCHAR), ''),
            coalesce(CAST(dest_port AS VARCHAR), ''), coalesce(id, ''),
            CASE WHEN contains(normalized_template, '{12}') OR contains(layout, '{12}') THEN strftime(event_time, '%Y-%m-%dT%H:%M:%S.%gZ') ELSE '' END,
            CASE WHEN contains(normalized_template, '{13}') OR contains(layout, '{13}') THEN strftime(event_time, '%Y-%m-%dT%H:%M:%SZ') ELSE '' END,
            CASE WHEN contains(normalized_template, '{14}') OR contains(layout, '{14}') THEN strftime(event_time, '%Y-%m-%dT%H:%M:%S.%fZ') ELSE '' END,
            CASE WHEN contains(normalized_template, '{15}') OR contains(layout, '{15}') THEN concat(strftime(event_time, '%b '), lpad(strftime(event_time, '%-d'), 2, ' '), strftime(event_time, ' %H:%M:%S')) ELSE '' END,
            CASE WHEN contains(normalized_template, '{16}') OR contains(layout, '{16}') THEN strftime(event_time, '%a %b %d %H:%M:%S %Y') ELSE '' END,
            CASE WHEN contains(normalized_template, '{17}') OR contains(layout, '{17}') THEN strftime(event_time, '%Y-%m-%d %H:%M:%S') ELSE '' END,
            CASE WHEN contains(normalized_template, '{18}') OR contains(layout, '{18}') THEN strftime(event_time, '%d/%b/%Y:%H:%M:%S') ELSE '' END,
            CASE WHEN contains(normalized_template, '{19}') OR contains(layout, '{19}') THEN strftime(event_time, '%y%m%d %H%M%S') ELSE '' END,
            CASE WHEN contains(normalized_template, '{20}') OR contains(layout, '{20}') THEN strftime(event_time, '%Y-%m-%d %H:%M:%S,%g') ELSE '' END,
            coalesce(v[1], ''), coalesce(v[2], ''), coalesce(v[3], ''), coalesce(v[4], ''), coalesce(v[5], ''),
            coalesce(v[6], ''), coalesce(v[7], ''), coalesce(v[8], ''), coalesce(v[9], ''), coalesce(v[10], ''),
            coalesce(v[11], ''), coalesce(v[12], ''), coalesce(v[13], ''), coalesce(v[14], ''), coalesce(v[15], ''),
            coalesce(v[16], ''), coalesce(v[17], ''), coalesce(v[18], ''), coalesce(v[19], ''), coalesce(v[20], ''),
            coalesce(v[21], ''), coalesce(v[22], ''), coalesce(v[23], ''), coalesce(v[24], ''), coalesce(v[25], ''),
            coalesce(v[26], ''), coalesce(v[27], ''), coalesce(v[28], ''), coalesce(v[29], ''), coalesce(v[30], ''),
            coalesce(v[31], ''), coalesce(v[32], ''), coalesce(v[33], ''), coalesce(v[34], ''), coalesce(v[35], ''),
            coalesce(v[36], ''), coalesce(v[37], ''), coalesce(v[38], ''), coalesce(v[39], ''), coalesce(v[40], ''),
            coalesce(v[41], ''), coalesce(v[42], ''), coalesce(v[43], ''), coalesce(v[44], ''), coalesce(v[45], ''),
            coalesce(v[46], ''), coalesce(v[47], ''), coalesce(v[48], ''), coalesce(v[49], ''), coalesce(v[50], ''),
            coalesce(v[51], ''), coalesce(v[52], ''), coalesce(v[53], ''), coalesce(v[54], ''), coalesce(v[55], ''),
            coalesce(v[56], ''), coalesce(v[57], ''), coalesce(v[58], ''), coalesce(v[59], ''), coalesce(v[60], ''),
            coalesce(v[61], ''), coalesce(v[62], ''), coalesce(v[63], ''), coalesce(v[64], ''), coalesce(v[65], ''),
            coalesce(v[66], ''), coalesce(v[67], ''), coalesce(v[68], ''), coalesce(v[69], ''), coalesce(v[70], ''),
            coalesce(v[71], ''), coalesce(v[72], '')))[1] AS JSON)
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
    level
FROM log_rows;
