-- What proves that nothing of the log was left out or changed (schema::digest).

-- The first 16 bytes of the SHA-256 of the payload's text, taken by who appends it.
ALTER TABLE events ADD COLUMN payload_hash uuid;
UPDATE events
SET payload_hash = encode(substring(sha256(convert_to(payload::text, 'UTF8')) FROM 1 FOR 16), 'hex')::uuid;
ALTER TABLE events ALTER COLUMN payload_hash SET NOT NULL;

-- For each partition and each block of 65,536 positions that the head has passed: the digest of its events, in the order
-- of positions, over their payloads' hashes. A partition without events in a block has a row too, of no events and 32 zeros.
-- Sealed once, by the log's caretaker, soon after the block is full.
CREATE TABLE log_digests (
    block     bigint      NOT NULL CHECK (block >= 0),
    partition smallint    NOT NULL,
    events    int         NOT NULL,
    digest    bytea       NOT NULL CHECK (octet_length(digest) = 32),
    sealed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (block, partition)
);
