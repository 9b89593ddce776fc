-- How many ranges are detached, in the snapshot of what follows: whoever knows of fewer has to look which (a row whose
-- position is null). In front of a statement that events can't be counted by.
SELECT NULL::bigint, count(*), NULL::bigint, NULL::timestamptz, NULL::uuid, NULL::uuid, NULL::smallint, NULL::smallint,
       NULL::text, NULL::text, NULL::text, NULL::text, NULL::text, NULL::text, NULL::uuid
FROM log_archives
WHERE detached_at IS NOT NULL
UNION ALL (
