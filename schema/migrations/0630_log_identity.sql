-- By what a log is told from others, in Kafka: the id of its first event. A backup, a replica and a copy of it have the same.
CREATE TABLE log_identity (
    id uuid NOT NULL
);
CREATE UNIQUE INDEX log_identity_is_one_row ON log_identity ((true));

-- Null: it has no event yet. Where the first event is in an archive by now, the id is made of the sealed digests of the first block,
-- which backups have too, and which nothing is taken out of the log without.
CREATE FUNCTION log_identity() RETURNS uuid
LANGUAGE plpgsql AS $$
DECLARE
    known uuid;
BEGIN
    SELECT id INTO known FROM log_identity;
    IF known IS NOT NULL THEN
        RETURN known;
    END IF;
    SELECT coalesce((SELECT event_id FROM events WHERE position = 1),
                    (SELECT md5(string_agg(encode(digest, 'hex'), '' ORDER BY partition))::uuid FROM log_digests WHERE block = 0))
    INTO known;
    -- On a replica nothing is written down.
    IF pg_is_in_recovery() THEN
        RETURN known;
    END IF;
    -- Somebody has dropped the first events by hand: then an id is made up, once.
    INSERT INTO log_identity SELECT coalesce(known, gen_random_uuid()) FROM log_head WHERE position > 0 ON CONFLICT DO NOTHING;
    SELECT id INTO known FROM log_identity;
    RETURN known;
END $$;
