-- Rows of read models and states of aggregates of over 2 kB are compressed by the server: with lz4, which takes a quarter of
-- the time of its default and packs nearly as well. Applies to what is written from now on. A server that was built without
-- lz4 keeps its default.
DO $$
DECLARE
    stored record;
BEGIN
    FOR stored IN
        SELECT c.oid::regclass AS relation, a.attname
        FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
        WHERE c.relkind = 'r' AND NOT a.attisdropped
          AND (c.relnamespace IN ('views'::regnamespace, 'shadow'::regnamespace, 'history'::regnamespace)
               AND a.attname = 'row'
               OR c.oid = 'aggregate_states'::regclass AND a.attname = 'state')
    LOOP
        EXECUTE format('ALTER TABLE %s ALTER COLUMN %I SET COMPRESSION lz4', stored.relation, stored.attname);
    END LOOP;
EXCEPTION WHEN feature_not_supported THEN
    RAISE NOTICE 'this server has no lz4: rows are compressed as before';
END $$;
