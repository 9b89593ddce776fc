-- The position with which the events after $1 come to be of $3 bytes; null: all up to $2 are of less. By what is stored, which is
-- known without reading it: of what is compressed, ten times that.
SELECT min(position)
FROM (
    SELECT position,
           sum(pg_column_size(metadata)
               + pg_column_size(payload) * CASE WHEN pg_column_compression(payload) IS NULL THEN 1 ELSE 10 END)
               OVER (ORDER BY position) AS bytes
    FROM events
    WHERE position > $1 AND position <= $2
) e
WHERE bytes >= $3
