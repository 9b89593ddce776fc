-- What erasing a person, and changing keys, needs beside the log.

-- A subject has one key for new values; after a rotation the older ones stay, to read what was sealed under them. A key
-- whose time has come is destroyed (`coulomb keys expire`, and the caretaker of command-service).
ALTER TABLE vault_keys
    ADD COLUMN retired_at    timestamptz,
    ADD COLUMN destroy_after timestamptz;
ALTER TABLE vault_keys DROP CONSTRAINT vault_keys_subject_key;
CREATE UNIQUE INDEX vault_keys_current ON vault_keys (subject) WHERE retired_at IS NULL;
CREATE INDEX vault_keys_of_subject ON vault_keys (subject);
CREATE INDEX vault_keys_that_expire ON vault_keys (destroy_after) WHERE destroy_after IS NOT NULL;

-- The key of the hashes by which e-mail addresses, tokens and repeated commands are found, sealed by the master key: it
-- stays when the master key is changed, since what is hashed can't be hashed again. Null: it is the master key itself, until
-- that is changed for the first time.
ALTER TABLE master_key_check ADD COLUMN index_key bytea;

-- Who is being erased, or was. Written first, so that an erasure that was cut off is carried on by whoever finds it here.
CREATE TABLE erasures (
    driver_id    uuid        PRIMARY KEY,
    tenant_id    uuid        NOT NULL,
    requested_at timestamptz NOT NULL DEFAULT now(),
    -- When the account and the keys were destroyed: each process then drops what it has in memory.
    destroyed_at timestamptz,
    -- When their tokens were blocked and forgotten too.
    done_at      timestamptz
);
CREATE INDEX erasures_open ON erasures (requested_at) WHERE done_at IS NULL;
CREATE INDEX erasures_recent ON erasures (destroyed_at) WHERE destroyed_at IS NOT NULL;

-- Who has been shown personal values in the clear: few streams, looked for among all.
CREATE INDEX streams_of_disclosures ON streams (first_position) WHERE type = 'Disclosure';
