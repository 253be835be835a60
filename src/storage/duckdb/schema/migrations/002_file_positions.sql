-- How far files were read: see FilePosition.
CREATE TABLE file_positions (
    id VARCHAR /*:key*/PRIMARY KEY/*:*/,
    path VARCHAR NOT NULL,
    bytes BIGINT NOT NULL,
    head VARCHAR NOT NULL,
    tail VARCHAR NOT NULL,
    in_array BOOLEAN NOT NULL,
    line_parts BIGINT NOT NULL,
    last_time TIMESTAMP
);

-- How many logs were deleted since the consumer's last commit that it had not read.
ALTER TABLE consumers ADD COLUMN missed BIGINT DEFAULT 0;
