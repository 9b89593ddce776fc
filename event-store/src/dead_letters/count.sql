-- Counted no further than 100,000: it is a sign, not a sum.
SELECT s.source, (SELECT count(*) FROM (SELECT FROM dead_letters d WHERE d.source = s.source AND d.state = 'waiting' LIMIT 100000) w)
FROM (VALUES ('read-model'), ('kafka')) AS s (source)
