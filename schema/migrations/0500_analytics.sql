-- SQL for analysts: a schema of typed views on the log and the read models, and a role that can read these and nothing else.
--
-- The views are not made here: `coulomb migrate` and `coulomb up` make them from the catalogue of events, so that an event
-- that is added has its view (schema/src/analytics).
CREATE SCHEMA analytics;
COMMENT ON SCHEMA analytics IS
    'Typed views on events and read models, for analysts. Personal values are sealed. Read as a member of coulomb_analyst.';

-- As what the views were made last: nothing is done where it is the same.
CREATE TABLE analytics_made (
    definitions text        NOT NULL,
    made_at     timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX analytics_made_is_one_row ON analytics_made ((true));

-- Roles are of the whole server, and not everybody may make them: where the role can't be made, somebody who can makes it
-- (CREATE ROLE coulomb_analyst NOLOGIN), and the next `coulomb migrate` grants it what it needs.
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'coulomb_analyst') THEN
        CREATE ROLE coulomb_analyst NOLOGIN;
    END IF;
EXCEPTION
    WHEN duplicate_object OR unique_violation THEN NULL;
    WHEN insufficient_privilege THEN RAISE WARNING 'the role coulomb_analyst is missing and may not be made by %', current_user;
END $$;

-- Up to Postgres 14 everybody may make tables in it.
REVOKE CREATE ON SCHEMA public FROM PUBLIC;

-- JSON as jsonb, which holds every text but the character NUL: in its place stands U+FFFD.
CREATE FUNCTION analytics.clean(value json) RETURNS jsonb
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN position('\u0000' IN value::text) = 0 THEN value::jsonb
                ELSE regexp_replace(value::text, '(?<!\\)((?:\\\\)*)\\u0000', '\1\\ufffd', 'g')::jsonb END
$$;
COMMENT ON FUNCTION analytics.clean IS 'JSON as jsonb; U+FFFD stands for NUL, which jsonb can''t hold.';

-- Times of chargers may be of any year.
CREATE FUNCTION analytics.moment(value text) RETURNS timestamptz
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN value ~ '^[1-9]\d{3}-' THEN value::timestamptz END
$$;
COMMENT ON FUNCTION analytics.moment IS 'A time as events hold it; null outside of the years 1000 to 9999.';

CREATE FUNCTION analytics.position_at(moment timestamptz) RETURNS bigint
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
    SELECT public.log_position_at(moment)
$$;
COMMENT ON FUNCTION analytics.position_at IS
    'The last position recorded at a time or before it. WHERE position > analytics.position_at(...) is fast, WHERE recorded_at > ... looks at everything.';

-- A login for an analyst. Its timeouts are what its sessions begin with: they guard against forgetting, since whoever logs
-- in may set others. SQLSTATE 42710: there is such a role.
CREATE FUNCTION analytics.add_analyst(name text, password text, statement_timeout interval DEFAULT '5 minutes',
                                      idle_timeout interval DEFAULT '1 minute') RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    setting record;
BEGIN
    EXECUTE format('CREATE ROLE %I LOGIN PASSWORD %L CONNECTION LIMIT 5 IN ROLE coulomb_analyst', name, password);
    FOR setting IN
        SELECT * FROM (VALUES
            ('statement_timeout', (extract(epoch FROM statement_timeout) * 1000)::bigint::text),
            ('idle_in_transaction_session_timeout', (extract(epoch FROM idle_timeout) * 1000)::bigint::text),
            ('lock_timeout', '5000'),
            ('default_transaction_read_only', 'on'),
            ('search_path', 'analytics')
        ) AS s (name, value)
    LOOP
        EXECUTE format('ALTER ROLE %I SET %I = %L', name, setting.name, setting.value);
    END LOOP;
END $$;
REVOKE ALL ON FUNCTION analytics.add_analyst FROM PUBLIC;
COMMENT ON FUNCTION analytics.add_analyst IS 'Makes a login that can read this schema and nothing else, with timeouts.';

-- Makes a view what it should be. Where it only gets more columns, what others have built on it stays; otherwise it is
-- dropped and made anew, which Postgres refuses by name of what depends on it.
CREATE FUNCTION analytics_make_view(name text, definition text) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('CREATE OR REPLACE VIEW analytics.%I AS %s', name, definition);
EXCEPTION WHEN invalid_table_definition THEN
    EXECUTE format('DROP VIEW analytics.%I', name);
    EXECUTE format('CREATE VIEW analytics.%I AS %s', name, definition);
END $$;

-- Views of events that the catalogue has no more, and the rights of the role.
CREATE FUNCTION analytics_finish(wanted text[]) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    name text;
BEGIN
    FOR name IN
        SELECT c.relname FROM pg_class c
        WHERE c.relnamespace = 'analytics'::regnamespace AND c.relkind = 'v' AND c.relname <> ALL (wanted)
          AND obj_description(c.oid, 'pg_class') LIKE '% [Coulomb]'
    LOOP
        EXECUTE format('DROP VIEW analytics.%I', name);
    END LOOP;
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'coulomb_analyst') THEN
        GRANT USAGE ON SCHEMA analytics TO coulomb_analyst;
        FOREACH name IN ARRAY wanted LOOP
            EXECUTE format('GRANT SELECT ON analytics.%I TO coulomb_analyst', name);
        END LOOP;
    ELSE
        RAISE WARNING 'the role coulomb_analyst is missing: CREATE ROLE coulomb_analyst NOLOGIN, then run coulomb migrate';
    END IF;
END $$;
