-- Builds of read models: a table is made anew beside the one that serves, compared with it, and takes its place.
--
-- A model has one live build, `views.<model>`, which all queries name, and at most one beside it, `shadow.<model>`, of the
-- same columns. While it is building, a rebuilder fills the shadow from the log. Once it has joined, the workers write it
-- together with the live one, in the same batches, so that both are always at the same checkpoint. A swap exchanges the
-- two tables; then the former live one is the shadow, kept current until it is dropped.
CREATE SCHEMA shadow;

CREATE TABLE views.builds (
    build_id            bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    model               text        COLLATE "C" NOT NULL,
    -- Of its model, from 1.
    number              int         NOT NULL CHECK (number > 0),
    -- Of the fold that made its rows.
    fold_version        int         NOT NULL,
    state               text        COLLATE "C" NOT NULL
                        CONSTRAINT builds_state CHECK (state IN ('building', 'joined', 'live', 'dropped')),
    -- Where its table is.
    table_schema        text        COLLATE "C" GENERATED ALWAYS AS (
                            CASE state WHEN 'live' THEN 'views' WHEN 'building' THEN 'shadow' WHEN 'joined' THEN 'shadow' END
                        ) STORED,
    created_at          timestamptz NOT NULL DEFAULT now(),
    joined_at           timestamptz,
    -- Of the event that made it live; 0: it was the first.
    live_since_position bigint,
    -- Who fills it: each of its commits names itself, and one that was replaced commits nothing.
    rebuilder           uuid,
    CONSTRAINT builds_number UNIQUE (model, number),
    CONSTRAINT builds_live EXCLUDE USING btree (model WITH =) WHERE (state = 'live') DEFERRABLE,
    CONSTRAINT builds_shadow EXCLUDE USING btree (model WITH =) WHERE (state IN ('building', 'joined')) DEFERRABLE
);

INSERT INTO views.builds (model, number, fold_version, state, live_since_position)
SELECT name, 1, 1, 'live', 0
FROM unnest(ARRAY['charge_points', 'sessions', 'meter_values', 'commands', 'drivers', 'tokens', 'sites', 'tariffs',
                  'plans']) AS name;

-- How far a build is that has not joined yet: everything of the partition up to `position` is in the rows. `digest` is of
-- what it consumed of the block of positions that is under way.
CREATE TABLE views.build_progress (
    build_id   bigint   NOT NULL REFERENCES views.builds,
    partition  smallint NOT NULL,
    generation bigint   NOT NULL,
    position   bigint   NOT NULL,
    digest     bytea,
    PRIMARY KEY (build_id, partition)
) WITH (fillfactor = 25);

-- Makes the function that writes rows of a model's shadow: that of its live table, with the other schema's name. Both stay
-- where they are, whichever table has the name.
CREATE FUNCTION views.make_shadow_writer(name text) RETURNS void
LANGUAGE plpgsql AS $make$
BEGIN
    EXECUTE replace(pg_get_functiondef(format('views.%I', 'write_' || name)::regproc), 'views.', 'shadow.');
END $make$;

SELECT views.make_shadow_writer(model) FROM views.builds;

-- Ends all runs, as views.claim does those of its partitions, and writes down what they had reached. Until this transaction
-- ends no worker commits, so that the rows, and where they are, stay as they are found. Then the workers claim again, and
-- see which builds there are. To be called before anything else locks.
CREATE FUNCTION views.end_runs() RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    LOCK TABLE views.runs IN SHARE ROW EXCLUSIVE MODE;
    UPDATE views.progress p
    SET generation = r.generation, position = greatest(p.position, r.position), run = NULL
    FROM views.runs r
    WHERE p.run = r.run;
    DELETE FROM views.runs;
END $$;

-- Begins a build: an empty shadow of the live table, with its key and the grants on it, but without the other indexes,
-- which are made when it is full (views.index_shadow). Answers the build's id. SQLSTATE CV010: there is no such model;
-- CV011: it has a shadow already.
CREATE FUNCTION views.begin_build(name text, version int) RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
    made  bigint;
    grant_ record;
BEGIN
    LOCK TABLE views.builds IN SHARE ROW EXCLUSIVE MODE;
    IF NOT EXISTS (SELECT FROM views.builds b WHERE b.model = name) THEN
        RAISE EXCEPTION USING ERRCODE = 'CV010', MESSAGE = format('there is no read model %s', name);
    END IF;
    IF EXISTS (SELECT FROM views.builds b WHERE b.model = name AND b.table_schema = 'shadow') THEN
        RAISE EXCEPTION USING ERRCODE = 'CV011', MESSAGE = format('%s has a build beside the live one', name);
    END IF;

    EXECUTE format('CREATE TABLE shadow.%1$I (LIKE views.%1$I INCLUDING ALL EXCLUDING INDEXES)', name);
    EXECUTE format('ALTER TABLE shadow.%I ADD CONSTRAINT %I PRIMARY KEY (key)', name, name || '_pkey');
    FOR grant_ IN
        SELECT a.privilege_type, CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(r.rolname) END AS grantee
        FROM pg_class c CROSS JOIN LATERAL aclexplode(c.relacl) a LEFT JOIN pg_roles r ON r.oid = a.grantee
        WHERE c.oid = format('views.%I', name)::regclass AND a.grantee <> c.relowner
    LOOP
        EXECUTE format('GRANT %s ON shadow.%I TO %s', grant_.privilege_type, name, grant_.grantee);
    END LOOP;

    INSERT INTO views.builds (model, number, fold_version, state)
    SELECT name, max(b.number) + 1, version, 'building' FROM views.builds b WHERE b.model = name
    RETURNING build_id INTO made;
    INSERT INTO views.build_progress
    SELECT made, n, h.generation, 0, NULL FROM generate_series(0, 63) n, log_head h;
    RETURN made;
END $$;

-- Makes one index of the live table that its shadow does not have yet. Answers its name; null: all are there.
CREATE FUNCTION views.index_shadow(name text) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
    missing record;
BEGIN
    SELECT i.relname, pg_get_indexdef(i.oid) AS definition INTO missing
    FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid
    WHERE x.indrelid = format('views.%I', name)::regclass
      AND NOT EXISTS (SELECT FROM pg_class s WHERE s.relnamespace = 'shadow'::regnamespace AND s.relname = i.relname)
    ORDER BY i.relname LIMIT 1;
    IF missing.relname IS NOT NULL THEN
        EXECUTE replace(missing.definition, format(' ON views.%I ', name), format(' ON shadow.%I ', name));
    END IF;
    RETURN missing.relname;
END $$;

-- The live table and its shadow take each other's place, with their indexes. Views on the live table are made anew, since
-- they would go with it. Nothing else is done: neither rows nor builds are changed.
CREATE FUNCTION views.exchange(name text) RETURNS void
LANGUAGE plpgsql
-- So that definitions name their schemas.
SET search_path = pg_catalog
AS $$
DECLARE
    definitions text[];
    definition  text;
BEGIN
    IF EXISTS (SELECT FROM pg_depend d JOIN pg_rewrite r ON r.oid = d.objid JOIN pg_class c ON c.oid = r.ev_class
               WHERE d.classid = 'pg_rewrite'::regclass AND d.refclassid = 'pg_class'::regclass
                 AND d.refobjid = format('views.%I', name)::regclass AND c.relkind <> 'v') THEN
        RAISE EXCEPTION 'a materialized view or rule is made on views.%: drop it first', name;
    END IF;
    SELECT array_agg(format('CREATE OR REPLACE VIEW %s %s AS %s', c.oid::regclass,
                            'WITH (' || array_to_string(c.reloptions, ', ') || ')', pg_get_viewdef(c.oid)))
    INTO definitions
    FROM pg_class c
    WHERE c.relkind = 'v' AND c.oid IN (
        SELECT r.ev_class FROM pg_depend d JOIN pg_rewrite r ON r.oid = d.objid
        WHERE d.classid = 'pg_rewrite'::regclass AND d.refclassid = 'pg_class'::regclass
          AND d.refobjid = format('views.%I', name)::regclass);

    -- A schema that is gone before anybody sees it.
    CREATE SCHEMA exchanged;
    EXECUTE format('ALTER TABLE views.%I SET SCHEMA exchanged', name);
    EXECUTE format('ALTER TABLE shadow.%I SET SCHEMA views', name);
    EXECUTE format('ALTER TABLE exchanged.%I SET SCHEMA shadow', name);
    DROP SCHEMA exchanged;

    FOREACH definition IN ARRAY coalesce(definitions, '{}') LOOP
        EXECUTE definition;
    END LOOP;
END $$;

-- After views.exchange: which build is live by the event at `at`, and which is kept beside it.
CREATE FUNCTION views.exchange_builds(was bigint, becomes bigint, at bigint) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    -- In one statement, so that at its end there are not two of one state.
    UPDATE views.builds
    SET state = CASE build_id WHEN becomes THEN 'live' ELSE 'joined' END,
        live_since_position = CASE build_id WHEN becomes THEN at ELSE live_since_position END,
        joined_at = CASE build_id WHEN becomes THEN joined_at ELSE now() END
    WHERE build_id IN (was, becomes);
END $$;

-- Drops the shadow of a model, with the build's state of work. The caller ends the runs first where it has joined.
CREATE FUNCTION views.drop_shadow(name text) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    LOCK TABLE views.builds IN SHARE ROW EXCLUSIVE MODE;
    EXECUTE format('DROP TABLE IF EXISTS shadow.%I', name);
    DELETE FROM views.build_progress p USING views.builds b
    WHERE b.build_id = p.build_id AND b.model = name AND b.table_schema = 'shadow';
    UPDATE views.builds b SET state = 'dropped', rebuilder = NULL WHERE b.model = name AND b.table_schema = 'shadow';
END $$;
