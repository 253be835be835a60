-- Blocks of logs that follow one another, with the version of the keys in their filters. Logs of no block are searched.
CREATE TABLE log_blocks (
    first_seq BIGINT NOT NULL,
    last_seq BIGINT NOT NULL,
    version BIGINT NOT NULL,
    is_sorted BOOLEAN NOT NULL
);

-- The filters of blocks, in slices. The engine rewrites a row group whenever rows are added to it, so rows are small
-- and many. Those of sorted blocks fill a row group, in the order of slices.
CREATE TABLE block_words (
    first_seq BIGINT NOT NULL,
    slice SMALLINT NOT NULL,
    words BLOB NOT NULL /*:compression*/USING COMPRESSION uncompressed/*:*/
);
