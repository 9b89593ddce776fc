-- What becomes of the log when the server that holds it is another one, or an older state of itself: a replica that was
-- promoted, a backup, a dump. Its last events may be missing, which others have read and act upon. So nothing is appended
-- until it is known; then a new generation begins, and positions that were given out are never given out twice.

-- Of this server, from the name of the WAL segment that it writes: a promotion and a recovery to a point in time begin a
-- new one. Costs a microsecond.
CREATE FUNCTION log_timeline() RETURNS int
LANGUAGE sql AS $$
    SELECT ('x' || left(pg_walfile_name(pg_current_wal_insert_lsn()), 8))::bit(32)::int
$$;

-- The timeline on which the log is appended to. 0: on none, nothing is taken.
ALTER TABLE log_head ADD COLUMN timeline int NOT NULL DEFAULT 0;
UPDATE log_head SET timeline = log_timeline();

-- The generations of the log, and what is shared with the one before. While `completed_at` is null the lost positions of
-- the newest one are being filled, and nothing else is appended.
CREATE TABLE log_generations (
    number            bigint      PRIMARY KEY,
    -- Up to here its events are certainly those of the generation before.
    shared_upto       bigint      NOT NULL,
    -- The positions whose events were lost; null: none, as far as is known.
    lost_from         bigint,
    lost_upto         bigint,
    -- Of the server on which it began.
    timeline          int         NOT NULL,
    system_identifier bigint      NOT NULL,
    reason            text        COLLATE "C" NOT NULL
                      CONSTRAINT log_generations_reason
                      CHECK (reason IN ('installed', 'promoted', 'moved', 'went_back', 'operator')),
    began_at          timestamptz NOT NULL DEFAULT clock_timestamp(),
    completed_at      timestamptz,
    -- Of the event that tells of it; the first has none.
    position          bigint,
    CONSTRAINT log_generations_lost CHECK ((lost_from IS NULL) = (lost_upto IS NULL) AND lost_from <= lost_upto
                                           AND lost_from > shared_upto)
);

INSERT INTO log_generations (number, shared_upto, timeline, system_identifier, reason, completed_at)
SELECT h.generation, 0, h.timeline, c.system_identifier, 'installed', clock_timestamp()
FROM log_head h, pg_control_system() c;

-- Why the log takes nothing, where that was found out by looking at what others have of it. At most one row.
CREATE TABLE log_halt (
    reason      text        COLLATE "C" NOT NULL,
    generation  bigint      NOT NULL,
    head        bigint      NOT NULL,
    -- Up to here the log certainly has what others have.
    shared_upto bigint      NOT NULL,
    -- Others have events up to here; null: that is not known yet.
    lost_upto   bigint,
    noticed_at  timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE UNIQUE INDEX log_halt_is_one_row ON log_halt ((true));

-- What there is to know of it at once. On a replica the server's timeline is null.
CREATE FUNCTION log_lineage(OUT "position" bigint, OUT generation bigint, OUT recorded_at timestamptz, OUT timeline int,
                            OUT server_timeline int, OUT known_system bigint, OUT server_system bigint,
                            OUT filling_upto bigint, OUT halt_reason text, OUT halt_head bigint, OUT halt_shared bigint,
                            OUT halt_lost bigint, OUT halt_noticed timestamptz)
LANGUAGE sql AS $$
    SELECT h.position, h.generation, h.recorded_at, h.timeline,
           CASE WHEN NOT pg_is_in_recovery() THEN log_timeline() END, g.system_identifier, c.system_identifier,
           CASE WHEN g.completed_at IS NULL AND g.number IS NOT NULL THEN greatest(g.lost_upto, h.position) END,
           t.reason, t.head, t.shared_upto, t.lost_upto, t.noticed_at
    FROM log_head h
    CROSS JOIN pg_control_system() c
    LEFT JOIN LATERAL (SELECT * FROM log_generations n ORDER BY n.number DESC LIMIT 1) g ON true
    LEFT JOIN log_halt t ON t.generation = h.generation
$$;

-- From now on nothing is taken: others have what the log has not, or may have. Of another generation it is not.
CREATE FUNCTION log_stop(why text, of_generation bigint, shared bigint, lost bigint) RETURNS boolean
LANGUAGE plpgsql AS $$
DECLARE
    head log_head;
BEGIN
    SELECT * INTO head FROM log_head FOR UPDATE;
    IF head.generation <> of_generation THEN
        RETURN false;
    END IF;
    UPDATE log_head SET timeline = 0;
    -- What is known of the loss is not forgotten by one who knows less.
    INSERT INTO log_halt AS t (reason, generation, head, shared_upto, lost_upto)
    VALUES (why, of_generation, head.position, shared, lost)
    ON CONFLICT ((true)) DO UPDATE
    SET reason = excluded.reason, generation = excluded.generation, head = excluded.head,
        shared_upto = excluded.shared_upto, lost_upto = excluded.lost_upto,
        noticed_at = CASE WHEN t.generation = excluded.generation THEN t.noticed_at ELSE excluded.noticed_at END
    WHERE t.generation <> excluded.generation OR excluded.lost_upto IS NOT NULL;
    RETURN true;
END $$;

-- Appends `count` events to the stream of the log itself, all alike; asked under the head row alone. Answers the position
-- of the last one.
CREATE FUNCTION log_write_own(count bigint, named text, said json, hash uuid, envelope json, stream uuid,
                              of_partition smallint) RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
    head   log_head;
    before bigint;
BEGIN
    UPDATE log_head h
    SET position = h.position + count, recorded_at = greatest(h.recorded_at, clock_timestamp())
    RETURNING * INTO head;
    INSERT INTO streams AS s (type, id, version, first_position, last_position, fence)
    VALUES ('Log', stream, count, head.position - count + 1, head.position, 0)
    ON CONFLICT (id, type) DO UPDATE
    SET version = s.version + count, last_position = greatest(s.last_position, head.position)
    RETURNING s.version - count INTO before;
    INSERT INTO events (position, sequence, generation, recorded_at, event_id, partition_key, retention, partition,
                        aggregate_type, aggregate_id, event_type, event_version, payload, metadata, payload_hash)
    SELECT head.position - count + i, before + i, head.generation, head.recorded_at,
           -- A UUID of version 7.
           encode(set_bit(set_bit(overlay(uuid_send(gen_random_uuid())
                                          PLACING substring(int8send((extract(epoch FROM head.recorded_at) * 1000)::bigint) FROM 3)
                                          FROM 1 FOR 6), 52, 1), 53, 1), 'hex')::uuid,
           stream, 2, of_partition, 'Log', stream::text, named, '1', said, envelope, hash
    FROM generate_series(1, count) AS i;
    PERFORM pg_notify('coulomb_log', 'the log');
    RETURN head.position;
END $$;

-- Begins a generation, whose lost positions (above the head, up to `lost`) are then filled and which is then completed. False:
-- the log is not where the caller has seen it, or one has begun already.
CREATE FUNCTION log_begin_generation(at bigint, was bigint, shared bigint, lost bigint, why text) RETURNS boolean
LANGUAGE plpgsql AS $$
DECLARE
    head log_head;
BEGIN
    SELECT * INTO head FROM log_head FOR UPDATE;
    IF head.position <> at OR head.generation <> was
       OR EXISTS (SELECT FROM log_generations g WHERE g.completed_at IS NULL) THEN
        RETURN false;
    END IF;
    INSERT INTO log_generations (number, shared_upto, lost_from, lost_upto, timeline, system_identifier, reason)
    SELECT was + 1, least(shared, at), CASE WHEN lost > at THEN at + 1 END, CASE WHEN lost > at THEN lost END,
           log_timeline(), c.system_identifier, why
    FROM pg_control_system() c;
    UPDATE log_head SET generation = was + 1, timeline = 0;
    -- Numbers of transactions are kept by chargers, and never given out twice: not those either that were given out in what
    -- was lost, of which there are at most as many as events, or after what is known of it.
    PERFORM setval('transaction_numbers',
                   least(2147483647, n.last_value + 10000 + greatest(coalesce(lost, 0) - at, 0)), true)
    FROM transaction_numbers n;
    RETURN true;
END $$;

-- More was lost than was known when the generation began: what is above the head is filled up to there.
CREATE FUNCTION log_lose_more(lost bigint) RETURNS void
LANGUAGE sql AS $$
    UPDATE log_generations g
    SET lost_from = coalesce(g.lost_from, h.position + 1), lost_upto = lost
    FROM log_head h
    WHERE g.completed_at IS NULL AND lost > greatest(g.lost_upto, h.position)
$$;

-- Fills up to `most` lost positions, as far as there are position ranges. Answers how many are left; null: no generation is
-- under way.
CREATE FUNCTION log_fill_lost(most bigint, said json, hash uuid, envelope json, stream uuid, of_partition smallint)
RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
    head  log_head;
    upto  bigint;
    count bigint;
BEGIN
    SELECT * INTO head FROM log_head FOR UPDATE;
    SELECT coalesce(g.lost_upto, head.position) INTO upto FROM log_generations g WHERE g.completed_at IS NULL;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    count := least(most, upto - head.position, (SELECT max(r.last) FROM log_ranges r) - head.position);
    IF count > 0 THEN
        head.position := log_write_own(count, 'PositionLost', said, hash, envelope, stream, of_partition);
    END IF;
    RETURN greatest(upto - head.position, 0);
END $$;

-- Completes the generation, with the event that tells of it, and appends go on. Answers the event's position; null: no
-- generation is under way, or lost positions are left.
CREATE FUNCTION log_complete_generation(said json, hash uuid, envelope json, stream uuid, of_partition smallint)
RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
    head  log_head;
    begun log_generations;
    told  bigint;
BEGIN
    SELECT * INTO head FROM log_head FOR UPDATE;
    SELECT * INTO begun FROM log_generations g WHERE g.completed_at IS NULL;
    IF NOT FOUND OR begun.lost_upto > head.position THEN
        RETURN NULL;
    END IF;
    told := log_write_own(1, 'GenerationBegan', said, hash, envelope, stream, of_partition);
    UPDATE log_generations g
    SET completed_at = clock_timestamp(), position = told, timeline = log_timeline(), system_identifier = c.system_identifier
    FROM pg_control_system() c WHERE g.number = begun.number;
    UPDATE log_head SET timeline = log_timeline();
    DELETE FROM log_halt;
    RETURN told;
END $$;

-- Appending as it is today; migrations 0002 and 0390 have it as it was. A program that calls it as before is served as
-- before.
DROP FUNCTION log_append;

-- Appends a batch: every write, guard and key of every append in it is decided here, in one call.
--
-- The arrays are columns: those named a_ hold an element for each append, w_ for each write, g_ for each guard, k_ for
-- each key, e_ for each event. `*_append` and `e_write` are indices from 1 into the others. Events stand in the order in
-- which they get their positions. The caller sees to it that a stream written by one append is neither written nor
-- guarded by another of the same batch, and that no key comes twice.
--
-- Who loses is refused alone; positions are taken for the rest, in one step of the head row.
--
-- Rows are made by counting and subscripting: in plpgsql that costs a tenth of `unnest`, which puts each cell of each column
-- through a tuple store.
--
-- The order of locks: stream rows by id and type, which is how the caller sorts the writes and how the streams' index does
-- (a plan may go by either); then the head row. Of the statements that lock streams the first one of a call locks all that
-- it writes. Keys are inserted under the head row alone. Whoever holds the head row waits for nobody, hence no deadlock.
--
-- Without exclusive, none is expected to lose: streams are checked by their update before the head row is taken, keys by
-- their uniqueness and guards by a look under it. Should one lose after all, serialization_failure is raised and the caller
-- comes back, exclusively: then every append is decided under the head row. So the usual flush pays for no decision, and
-- only its events' rows are made while others wait.
--
-- Nothing is taken where it is not known whether the log has all that it had (SQLSTATE CL001), from a caller who has not
-- learned of the present generation (CL002), or who has seen the log go further than it goes (CL003).
CREATE FUNCTION log_append(
    exclusive boolean,
    near      bigint,       -- where the caller last saw the head; null: it hasn't
    notify    text,         -- who tells the others of it; null: they aren't told
    a_count   int[],        -- how many events it has
    w_append  int[],
    w_type    text[],
    w_id      uuid[],
    w_expect  bigint[],     -- the version it must find; 0: a new stream; -1: whatever
    w_fence   bigint[],     -- the fence it sets, above the present one; 0: leaves it
    w_count   int[],
    g_append  int[],
    g_type    text[],
    g_id      uuid[],
    g_version bigint[],     -- the version it must find; -1: whatever
    g_fence   bigint[],     -- the fence it must find; -1: whatever
    k_append  int[],
    k_last    int[],        -- the last event of its append, from 1; of one without events, the one before
    k_scope   text[],
    k_key     text[],
    k_hash    bytea[],
    k_answer  json[],
    k_expires timestamptz[],
    e_write   int[],
    e_nth     int[],        -- from 1 in its write
    e_type    text[],
    e_version text[],
    e_id      uuid[],
    e_pkey    uuid[],
    e_part    smallint[],
    e_keep    smallint[],
    e_payload json[],
    e_meta    json[],
    e_hash    uuid[],       -- of the payload
    known     bigint DEFAULT NULL, -- the generation that the caller knows; null: whatever
    seen      bigint DEFAULT NULL, -- a position that the log of that generation has had
    OUT base             bigint,        -- the head before this batch
    OUT generation       bigint,
    OUT recorded_at      timestamptz,
    OUT refused          int[],         -- appends that were refused, replays among them; null: none
    OUT found_append     int[],         -- keys that are taken
    OUT found_same       boolean[],     -- by the same body
    OUT found_answer     json[],
    OUT found_position   bigint[],
    OUT present_version  bigint[],      -- for each write, before this batch; null: each as expected
    OUT present_fence    bigint[],
    OUT guarded_version  bigint[],      -- for each guard; null: all hold
    OUT guarded_fence    bigint[]
)
LANGUAGE plpgsql
-- Plans are made once for a session: lookups by key, whatever the statistics of an empty table say.
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
SET enable_bitmapscan = off
AS $$
DECLARE
    writes        constant int := cardinality(w_append);
    guards        constant int := cardinality(g_append);
    keys          constant int := cardinality(k_append);
    now_          constant timestamptz := clock_timestamp();
    -- How far the head may move between being seen and being taken, so that `last_position` is a bound.
    reach         constant bigint := 1000000;
    -- For each append, how many events of refused ones stand before its own; null: none anywhere.
    skip          int[];
    lost          int[];
    -- For each write, the version that its events follow.
    found_version bigint[] := w_expect;
    taken         int := cardinality(e_write);
    matched       int;
    -- Of the server, and of the log; 0: it takes nothing.
    server        constant int := ('x' || left(pg_walfile_name(pg_current_wal_insert_lsn()), 8))::bit(32)::int;
    timeline      int;
BEGIN
    IF exclusive OR near IS NULL THEN
        SELECT position INTO near FROM log_head;
    END IF;

    -- A stream that isn't there yet is locked by a row at version 0.
    IF exclusive THEN
        INSERT INTO streams AS s (type, id, version, first_position, last_position, fence)
        SELECT w_type[i], w_id[i], 0, near + 1, near, 0 FROM generate_series(1, writes) AS i
        ON CONFLICT (id, type) DO UPDATE SET version = s.version;
        PERFORM FROM log_head FOR UPDATE;
    END IF;

    IF keys > 0 THEN
        SELECT array_agg(k_append[i]), array_agg(c.body_hash = k_hash[i]), array_agg(c.answer), array_agg(c.position)
        INTO found_append, found_same, found_answer, found_position
        FROM generate_series(1, keys) AS i
        JOIN commands c ON c.scope = k_scope[i] AND c.key = k_key[i]
        WHERE c.expires_at IS NULL OR c.expires_at > now_;
        refused := found_append;
    END IF;

    -- In the order of the writes, since it can only be a nested loop.
    IF exclusive OR -1 = ANY (w_expect) THEN
        SELECT array_agg(coalesce(s.version, 0)), array_agg(coalesce(s.fence, 0)),
               array_agg(w_append[i]) FILTER (WHERE
                   (w_expect[i] >= 0 AND w_expect[i] <> coalesce(s.version, 0))
                   OR (w_fence[i] > 0 AND w_fence[i] <= coalesce(s.fence, 0)))
        INTO present_version, present_fence, lost
        FROM generate_series(1, writes) AS i
        LEFT JOIN streams s ON s.id = w_id[i] AND s.type = w_type[i];
        refused := refused || lost;
        found_version := present_version;
    END IF;

    IF exclusive AND guards > 0 THEN
        SELECT array_agg(coalesce(s.version, 0)), array_agg(coalesce(s.fence, 0)),
               array_agg(g_append[i]) FILTER (WHERE
                   (g_version[i] >= 0 AND g_version[i] <> coalesce(s.version, 0))
                   OR (g_fence[i] >= 0 AND g_fence[i] <> coalesce(s.fence, 0)))
        INTO guarded_version, guarded_fence, lost
        FROM generate_series(1, guards) AS i
        LEFT JOIN streams s ON s.id = g_id[i] AND s.type = g_type[i];
        refused := refused || lost;
    END IF;

    IF refused IS NOT NULL THEN
        SELECT array_agg(r.before::int ORDER BY r.n) INTO skip
        FROM (SELECT a.n, sum(CASE WHEN a.n = ANY (refused) THEN a.count ELSE 0 END) OVER (ORDER BY a.n) AS before
              FROM unnest(a_count) WITH ORDINALITY AS a (count, n)) r;
        taken := taken - skip[cardinality(skip)];
    END IF;

    IF writes > 0 THEN
        IF exclusive OR 0 <> ALL (found_version) THEN
            UPDATE streams s
            SET version = s.version + w_count[i], fence = greatest(s.fence, w_fence[i]),
                last_position = greatest(s.last_position, near + reach)
            FROM generate_series(1, writes) AS i
            WHERE s.id = w_id[i] AND s.type = w_type[i] AND s.version = found_version[i]
                  AND (w_fence[i] = 0 OR w_fence[i] > s.fence)
                  AND (refused IS NULL OR w_append[i] <> ALL (refused));
        ELSE
            -- With new streams among them: all in one statement, so that the order of locks holds. What a stream that is
            -- there must be at stands, negative, in the place of its first position, which is not written.
            INSERT INTO streams AS s (type, id, version, first_position, last_position, fence)
            SELECT w_type[i], w_id[i], found_version[i] + w_count[i],
                   CASE WHEN found_version[i] > 0 THEN -found_version[i] ELSE near + 1 END, near + reach, w_fence[i]
            FROM generate_series(1, writes) AS i
            WHERE (refused IS NULL OR w_append[i] <> ALL (refused))
                  AND (found_version[i] = 0
                       OR EXISTS (SELECT FROM streams o WHERE o.id = w_id[i] AND o.type = w_type[i]))
            ON CONFLICT (id, type) DO UPDATE
            SET version = excluded.version, fence = greatest(s.fence, excluded.fence),
                last_position = greatest(s.last_position, excluded.last_position)
            WHERE s.version = greatest(-excluded.first_position, 0) AND (excluded.fence = 0 OR excluded.fence > s.fence);
        END IF;
        GET DIAGNOSTICS matched = ROW_COUNT;
        IF matched <> writes AND (refused IS NULL
            OR matched <> (SELECT count(*) FROM generate_series(1, writes) AS i WHERE w_append[i] <> ALL (refused)))
        THEN
            RAISE serialization_failure USING MESSAGE = 'a stream is not as expected';
        END IF;
        IF exclusive AND refused IS NOT NULL THEN
            DELETE FROM streams s USING generate_series(1, writes) AS i
            WHERE s.id = w_id[i] AND s.type = w_type[i] AND s.version = 0 AND s.fence = 0
                  AND w_append[i] = ANY (refused);
        END IF;
    END IF;

    UPDATE log_head h
    SET position = h.position + taken, recorded_at = greatest(h.recorded_at, clock_timestamp())
    RETURNING h.position - taken, h.generation, h.recorded_at, h.timeline INTO base, generation, recorded_at, timeline;
    IF timeline <> server THEN
        RAISE EXCEPTION USING ERRCODE = 'CL001',
            MESSAGE = format('the log takes nothing: it is of timeline %s and the server of %s', timeline, server);
    END IF;
    IF generation <> known THEN
        RAISE EXCEPTION USING ERRCODE = 'CL002', DETAIL = generation::text,
            MESSAGE = format('the log is of generation %s, not %s', generation, known);
    END IF;
    IF base < seen THEN
        RAISE EXCEPTION USING ERRCODE = 'CL003',
            MESSAGE = format('the log ends at %s, and it was at %s', base, seen);
    END IF;
    IF base < near OR base + taken > near + reach THEN
        RAISE serialization_failure USING MESSAGE = 'the head is not near where it was seen';
    END IF;

    IF taken > 0 THEN
        INSERT INTO events (position, sequence, generation, recorded_at, event_id, partition_key, retention, partition,
                            aggregate_type, aggregate_id, event_type, event_version, payload, metadata, payload_hash)
        SELECT base + i - coalesce(skip[w_append[e_write[i]]], 0), found_version[e_write[i]] + e_nth[i],
               log_append.generation, log_append.recorded_at, e_id[i], e_pkey[i], e_keep[i], e_part[i],
               w_type[e_write[i]], w_id[e_write[i]]::text, e_type[i], e_version[i], e_payload[i], e_meta[i], e_hash[i]
        FROM generate_series(1, cardinality(e_write)) AS i
        WHERE refused IS NULL OR w_append[e_write[i]] <> ALL (refused);
    END IF;

    IF guards > 0 AND NOT exclusive AND EXISTS (
        SELECT FROM generate_series(1, guards) AS i
        LEFT JOIN streams s ON s.id = g_id[i] AND s.type = g_type[i]
        -- A guard holds before its own append's write. A fence that this has set hides the one before: that is looked at
        -- exclusively.
        LEFT JOIN generate_series(1, writes) AS w
               ON w_append[w] = g_append[i] AND w_type[w] = g_type[i] AND w_id[w] = g_id[i]
        WHERE (refused IS NULL OR g_append[i] <> ALL (refused))
          AND ((g_version[i] >= 0 AND g_version[i] <> coalesce(s.version, 0) - coalesce(w_count[w], 0))
               OR (g_fence[i] >= 0 AND (g_fence[i] <> coalesce(s.fence, 0) OR w_fence[w] > 0)))
    ) THEN
        RAISE serialization_failure USING MESSAGE = 'a guard does not hold';
    END IF;

    IF keys > 0 THEN
        INSERT INTO commands AS c (scope, key, body_hash, answer, expires_at, position)
        SELECT k_scope[i], k_key[i], k_hash[i], k_answer[i], k_expires[i],
               base + k_last[i] - coalesce(skip[k_append[i]], 0)
        FROM generate_series(1, keys) AS i
        WHERE refused IS NULL OR k_append[i] <> ALL (refused)
        ON CONFLICT (scope, key) DO UPDATE
        SET body_hash = excluded.body_hash, answer = excluded.answer, expires_at = excluded.expires_at,
            position = excluded.position
        WHERE c.expires_at <= now_;
        GET DIAGNOSTICS matched = ROW_COUNT;
        IF matched <> (SELECT count(*) FROM generate_series(1, keys) AS i
                       WHERE refused IS NULL OR k_append[i] <> ALL (refused)) THEN
            RAISE serialization_failure USING MESSAGE = 'a key was taken meanwhile';
        END IF;
    END IF;

    IF notify IS NOT NULL AND taken > 0 THEN
        PERFORM pg_notify('coulomb_log', notify);
    END IF;
END $$;
