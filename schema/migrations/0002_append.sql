-- Appends a batch: every write, guard and key of every append in it is decided here, in one call.
--
-- The arrays are columns: those named a_ hold an element for each append, w_ for each write, g_ for each guard, k_ for
-- each key, e_ for each event. `*_append` and `e_write` are indices from 1 into the others. Events stand in the order in
-- which they get their positions. The caller sees to it that a stream written by one append is neither written nor
-- guarded by another of the same batch, and that no key comes twice.
--
-- Who loses is refused alone; positions are taken for the rest, in one step of the head row.
--
-- exclusive: the head row is locked first, so that nothing can change between decision and commit. Otherwise the decision
-- is made beside other appends, and under the head row it is checked that it still holds: streams by their versions, keys
-- by their uniqueness, guards by looking again. Should it not, serialization_failure is raised and the caller comes back,
-- exclusively. No row is locked before the head row, hence no deadlock.
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
    OUT present_version  bigint[],      -- for each write, before this batch; -1: no such stream
    OUT present_fence    bigint[],
    OUT guarded_version  bigint[],      -- for each guard
    OUT guarded_fence    bigint[]
)
LANGUAGE plpgsql
-- Plans are made once for a session: lookups by key, whatever the statistics of an empty table say.
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
AS $$
DECLARE
    has_writes constant boolean := cardinality(w_append) > 0;
    has_guards constant boolean := cardinality(g_append) > 0;
    has_keys   constant boolean := cardinality(k_append) > 0;
    -- For each append, how many events of refused ones stand before its own; null: none anywhere.
    skip       int[];
    lost       int[];
    taken      int := cardinality(e_write);
    matched    int := 0;
    step       int;
    now_       constant timestamptz := clock_timestamp();
BEGIN
    IF exclusive THEN
        PERFORM FROM log_head FOR UPDATE;
    END IF;

    IF has_keys THEN
        SELECT array_agg(k.append), array_agg(c.body_hash = k.hash), array_agg(c.answer), array_agg(c.position)
        INTO found_append, found_same, found_answer, found_position
        FROM unnest(k_append, k_scope, k_key, k_hash) AS k (append, scope, key, hash)
        JOIN commands c ON c.scope = k.scope AND c.key = k.key
        WHERE c.expires_at IS NULL OR c.expires_at > now_;
        refused := found_append;
    END IF;

    IF has_writes THEN
        SELECT array_agg(coalesce(s.version, -1) ORDER BY w.n), array_agg(coalesce(s.fence, 0) ORDER BY w.n),
               array_agg(w.append) FILTER (WHERE
                   (w.expect >= 0 AND w.expect <> greatest(coalesce(s.version, 0), 0))
                   OR (w.fence > 0 AND w.fence <= coalesce(s.fence, 0)))
        INTO present_version, present_fence, lost
        FROM unnest(w_append, w_type, w_id, w_expect, w_fence) WITH ORDINALITY AS w (append, type, id, expect, fence, n)
        LEFT JOIN streams s ON s.id = w.id AND s.type = w.type;
        refused := refused || lost;
    END IF;

    IF has_guards THEN
        SELECT array_agg(coalesce(s.version, 0) ORDER BY g.n), array_agg(coalesce(s.fence, 0) ORDER BY g.n),
               array_agg(g.append) FILTER (WHERE
                   (g.version >= 0 AND g.version <> coalesce(s.version, 0))
                   OR (g.fence >= 0 AND g.fence <> coalesce(s.fence, 0)))
        INTO guarded_version, guarded_fence, lost
        FROM unnest(g_append, g_type, g_id, g_version, g_fence) WITH ORDINALITY AS g (append, type, id, version, fence, n)
        LEFT JOIN streams s ON s.id = g.id AND s.type = g.type;
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
        SELECT base + e.n - coalesce(skip[w_append[e.write]], 0), greatest(present_version[e.write], 0) + e.nth,
               log_append.generation, log_append.recorded_at, e.id, e.pkey, e.keep, e.part,
               w_type[e.write], w_id[e.write]::text, e.type, e.version, e.payload, e.meta
        FROM unnest(e_write, e_nth, e_type, e_version, e_id, e_pkey, e_part, e_keep, e_payload, e_meta)
             WITH ORDINALITY AS e (write, nth, type, version, id, pkey, part, keep, payload, meta, n)
        WHERE refused IS NULL OR w_append[e.write] <> ALL (refused);
    END IF;

    IF has_writes THEN
        UPDATE streams s
        SET version = s.version + w.count, fence = greatest(s.fence, w.fence),
            last_position = greatest(s.last_position, base + w.first + w.count - 1 - coalesce(skip[w.append], 0))
        FROM unnest(w_append, w_type, w_id, w_fence, w_first, w_count, present_version, present_fence)
             AS w (append, type, id, fence, first, count, version, present_fence)
        WHERE s.id = w.id AND s.type = w.type AND s.version = w.version AND s.fence = w.present_fence
              AND (refused IS NULL OR w.append <> ALL (refused));
        GET DIAGNOSTICS matched = ROW_COUNT;

        IF refused IS NOT NULL OR matched < cardinality(w_append) THEN
            INSERT INTO streams (type, id, version, first_position, last_position, fence)
            SELECT w.type, w.id, w.count, base + w.first - coalesce(skip[w.append], 0),
                   base + w.first + w.count - 1 - coalesce(skip[w.append], 0), w.fence
            FROM unnest(w_append, w_type, w_id, w_fence, w_first, w_count, present_version)
                 AS w (append, type, id, fence, first, count, version)
            WHERE w.version = -1 AND (refused IS NULL OR w.append <> ALL (refused))
            ON CONFLICT DO NOTHING;
            GET DIAGNOSTICS step = ROW_COUNT;
            IF matched + step <> (SELECT count(*) FROM unnest(w_append) AS w (append)
                                  WHERE refused IS NULL OR w.append <> ALL (refused)) THEN
                RAISE serialization_failure USING MESSAGE = 'a stream moved between decision and commit';
            END IF;
        END IF;
    END IF;

    IF has_guards AND NOT exclusive AND EXISTS (
        SELECT FROM unnest(g_append, g_type, g_id, g_version, g_fence, guarded_version)
                    AS g (append, type, id, version, fence, guarded)
        LEFT JOIN streams s ON s.id = g.id AND s.type = g.type
        WHERE (refused IS NULL OR g.append <> ALL (refused))
          AND ((g.version >= 0 AND g.version <> coalesce(s.version, 0))
               OR (g.fence >= 0 AND g.fence <> coalesce(s.fence, 0)))
          -- What this batch itself has just written was checked as it was before.
          AND NOT EXISTS (SELECT FROM unnest(w_append, w_type, w_id) AS w (append, type, id)
                          WHERE w.append = g.append AND w.type = g.type AND w.id = g.id)
    ) THEN
        RAISE serialization_failure USING MESSAGE = 'a guard fell between decision and commit';
    END IF;

    IF has_keys THEN
        INSERT INTO commands AS c (scope, key, body_hash, answer, expires_at, position)
        SELECT k.scope, k.key, k.hash, k.answer, k.expires,
               base + (SELECT sum(a.count) FROM unnest(a_count[:k.append]) AS a (count)) - coalesce(skip[k.append], 0)
        FROM unnest(k_append, k_scope, k_key, k_hash, k_answer, k_expires) AS k (append, scope, key, hash, answer, expires)
        WHERE refused IS NULL OR k.append <> ALL (refused)
        ON CONFLICT (scope, key) DO UPDATE
        SET body_hash = excluded.body_hash, answer = excluded.answer, expires_at = excluded.expires_at,
            position = excluded.position
        WHERE c.expires_at <= now_;
        GET DIAGNOSTICS matched = ROW_COUNT;
        IF matched <> (SELECT count(*) FROM unnest(k_append) AS k (append)
                       WHERE refused IS NULL OR k.append <> ALL (refused)) THEN
            RAISE serialization_failure USING MESSAGE = 'a key was taken between decision and commit';
        END IF;
    END IF;

    IF notify IS NOT NULL AND taken > 0 THEN
        PERFORM pg_notify('coulomb_log', notify);
    END IF;
END $$;
