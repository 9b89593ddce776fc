-- How long a stream is, in the snapshot of the events that follow: a row whose position is null.
SELECT NULL::bigint, s.version, NULL::bigint, NULL::timestamptz, NULL::uuid, NULL::uuid, NULL::smallint, NULL::smallint,
       NULL::text, NULL::text, NULL::text, NULL::text, NULL::text, NULL::text, NULL::uuid
FROM streams s
WHERE s.id = $1 AND s.type = $2
UNION ALL (
