-- By what a log is told from others, in Kafka: the id of its first event. A backup, a replica and a copy of it have the same.
CREATE TABLE log_identity (
    id uuid NOT NULL
);
CREATE UNIQUE INDEX log_identity_is_one_row ON log_identity ((true));

-- Null: it has no event yet. Where the first event is in an archive by now, an id is made up, once.
CREATE FUNCTION log_identity() RETURNS uuid
LANGUAGE plpgsql AS $$
DECLARE
    known uuid;
BEGIN
    SELECT id INTO known FROM log_identity;
    IF known IS NOT NULL THEN
        RETURN known;
    END IF;
    -- On a replica nothing is written down.
    IF pg_is_in_recovery() THEN
        SELECT event_id INTO known FROM events WHERE position = 1;
        RETURN known;
    END IF;
    INSERT INTO log_identity
    SELECT coalesce((SELECT event_id FROM events WHERE position = 1), gen_random_uuid()) FROM log_head WHERE position > 0
    ON CONFLICT DO NOTHING;
    SELECT id INTO known FROM log_identity;
    RETURN known;
END $$;
