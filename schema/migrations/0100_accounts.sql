-- Who may log in, and as what. Not history: rows that are changed, and deleted when their person is. Nowhere else in the
-- database does personal data stand in the clear.

CREATE TABLE accounts (
    -- A driver's account and their stream in the log have the same id.
    user_id       uuid        PRIMARY KEY,
    tenant_id     uuid        NOT NULL,
    role          text        NOT NULL CONSTRAINT accounts_role CHECK (role IN ('driver', 'operator')),
    -- Keyed hash of the normalised address: what an account is found by.
    email_hash    bytea       NOT NULL,
    email         text        NOT NULL,
    name          text        NOT NULL,
    phone         text,
    -- argon2id, with its parameters and salt (PHC string).
    password_hash text        NOT NULL,
    created_at    timestamptz NOT NULL,
    -- Whether the log is known to hold the driver's registration. False after a crash between the two: the next login
    -- appends it.
    in_log        boolean     NOT NULL,
    CONSTRAINT accounts_email UNIQUE (tenant_id, email_hash)
);

-- The refresh tokens of one device, of which only the newest is good. Each token follows from the one before it under a
-- key outside the database, so one row tells them all apart: the newest, the one before it, the older ones, and strangers.
CREATE TABLE refresh_families (
    family_id  uuid        PRIMARY KEY,
    user_id    uuid        NOT NULL REFERENCES accounts ON DELETE CASCADE,
    device_id  text,
    -- Of the newest token: how many came before it, its SHA-256, and when it was given out.
    number     bigint      NOT NULL,
    digest     bytea       NOT NULL,
    rotated_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    -- A login on a device ends what was open on it. Devices that don't say who they are have a family for each login.
    CONSTRAINT refresh_families_device UNIQUE (user_id, device_id)
);
