-- What is not history: keys, credentials and the rows that make names unique. None of it can be rebuilt from the log.

-- A key for each person (or charger, or token that nobody owns), wrapped by the master key. Without its key, a sealed value
-- in the log, a read model or an archive can't be opened by anybody: that is how a person is erased.
CREATE TABLE vault_keys (
    key_id     uuid        PRIMARY KEY,
    subject    text        NOT NULL UNIQUE,
    wrapped    bytea       NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);

-- The keys that sign access tokens. The private part is sealed by the master key.
CREATE TABLE signing_keys (
    kid            text        PRIMARY KEY,
    public_key     bytea       NOT NULL,
    sealed_private bytea       NOT NULL,
    created_at     timestamptz NOT NULL
);

-- The identities of charge points, each for one stream, and the credential (argon2id) of Basic authentication.
CREATE TABLE charger_registry (
    charge_point_id uuid NOT NULL UNIQUE,
    tenant_id       uuid NOT NULL,
    identity        text NOT NULL,
    credential      text,
    CONSTRAINT charger_registry_identity PRIMARY KEY (tenant_id, identity)
);

-- Tokens by a keyed hash of their value, compared without case.
CREATE TABLE token_index (
    tenant_id  uuid  NOT NULL,
    value_hash bytea NOT NULL,
    token_id   uuid  NOT NULL UNIQUE,
    PRIMARY KEY (tenant_id, value_hash)
);

-- Which session a transaction is. OCPP 1.6 wants positive 31-bit numbers, never used twice.
CREATE SEQUENCE transaction_numbers AS integer MINVALUE 1 MAXVALUE 2147483647 NO CYCLE;
CREATE TABLE transactions (
    charge_point_id uuid NOT NULL,
    transaction_id  text NOT NULL,
    session_id      uuid NOT NULL,
    PRIMARY KEY (charge_point_id, transaction_id)
);

-- A known value sealed by the master key, so that a process with another key is refused at its start, before it makes keys
-- and hashes that no other process can use.
CREATE TABLE master_key_check (
    one    boolean PRIMARY KEY DEFAULT true CHECK (one),
    sealed bytea   NOT NULL
);
