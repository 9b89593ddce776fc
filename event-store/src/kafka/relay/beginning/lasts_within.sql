-- Of each partition the last event within some positions, and the last one of some types; in which generation the last of all is, and
-- how many there are.
SELECT partition, max(position), max(position) FILTER (WHERE event_type = ANY ($3)),
       max(max(generation)) OVER (), (sum(count(*)) OVER ())::bigint
FROM events
WHERE position > $1 AND position <= $2
GROUP BY partition
