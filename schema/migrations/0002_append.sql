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
-- exclusive: the head row is locked first and every append is decided under it. Otherwise none is expected to lose: the
-- head row is taken when it is needed, and under it streams are checked by their update, keys by their uniqueness, guards
-- by a look. Should one lose after all, serialization_failure is raised and the caller comes back, exclusively. So the
-- usual flush pays for no decision, and others prepare theirs meanwhile. No row is locked before the head row, hence no
-- deadlock.
CREATE FUNCTION log_append(
    exclusive boolean,
    notify    text,         -- who tells the others of it; null: they aren't told
    a_count   int[],        -- how many events it has
    w_append  int[],
    w_type    text[],
    w_id      uuid[],
    w_expect  bigint[],     -- the version it must find; 0: a new stream; -1: whatever
    w_fence   bigint[],     -- the fence it sets, above the present one; 0: leaves it
    w_first   int[],        -- its first event, from 1
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
    -- For each append, how many events of refused ones stand before its own; null: none anywhere.
    skip          int[];
    lost          int[];
    -- For each write, the version that its events follow.
    found_version bigint[] := w_expect;
    taken         int := cardinality(e_write);
    matched       int;
    step          int;
BEGIN
    IF exclusive THEN
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

    UPDATE log_head h
    SET position = h.position + taken, recorded_at = greatest(h.recorded_at, clock_timestamp())
    RETURNING h.position - taken, h.generation, h.recorded_at INTO base, generation, recorded_at;

    IF taken > 0 THEN
        INSERT INTO events (position, sequence, generation, recorded_at, event_id, partition_key, retention, partition,
                            aggregate_type, aggregate_id, event_type, event_version, payload, metadata)
        SELECT base + i - coalesce(skip[w_append[e_write[i]]], 0), found_version[e_write[i]] + e_nth[i],
               log_append.generation, log_append.recorded_at, e_id[i], e_pkey[i], e_keep[i], e_part[i],
               w_type[e_write[i]], w_id[e_write[i]]::text, e_type[i], e_version[i], e_payload[i], e_meta[i]
        FROM generate_series(1, cardinality(e_write)) AS i
        WHERE refused IS NULL OR w_append[e_write[i]] <> ALL (refused);
    END IF;

    IF writes > 0 THEN
        UPDATE streams s
        SET version = s.version + w_count[i], fence = greatest(s.fence, w_fence[i]),
            last_position = greatest(s.last_position, base + w_first[i] + w_count[i] - 1 - coalesce(skip[w_append[i]], 0))
        FROM generate_series(1, writes) AS i
        WHERE s.id = w_id[i] AND s.type = w_type[i] AND s.version = found_version[i]
              AND (w_fence[i] = 0 OR w_fence[i] > s.fence)
              AND (refused IS NULL OR w_append[i] <> ALL (refused));
        GET DIAGNOSTICS matched = ROW_COUNT;

        IF matched < writes THEN
            INSERT INTO streams (type, id, version, first_position, last_position, fence)
            SELECT w_type[i], w_id[i], w_count[i], base + w_first[i] - coalesce(skip[w_append[i]], 0),
                   base + w_first[i] + w_count[i] - 1 - coalesce(skip[w_append[i]], 0), w_fence[i]
            FROM generate_series(1, writes) AS i
            WHERE found_version[i] = 0 AND (refused IS NULL OR w_append[i] <> ALL (refused))
            ON CONFLICT DO NOTHING;
            GET DIAGNOSTICS step = ROW_COUNT;
            IF matched + step <> (SELECT count(*) FROM generate_series(1, writes) AS i
                                  WHERE refused IS NULL OR w_append[i] <> ALL (refused)) THEN
                RAISE serialization_failure USING MESSAGE = 'a stream is not as expected';
            END IF;
        END IF;
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
