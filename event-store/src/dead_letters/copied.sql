-- What was changed since it was read, or is being changed, is copied again.
UPDATE dead_letters d SET copied_as = d.state
FROM unnest($1::bigint[], $2::text[], $3::text[]) AS c (id, state, error)
WHERE d.dead_letter_id = c.id AND d.state = c.state AND d.error IS NOT DISTINCT FROM c.error
  AND d.dead_letter_id IN (SELECT l.dead_letter_id FROM dead_letters l WHERE l.dead_letter_id = ANY ($1)
                           FOR NO KEY UPDATE SKIP LOCKED)
