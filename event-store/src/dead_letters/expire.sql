DELETE FROM dead_letters WHERE dead_letter_id IN (
    SELECT dead_letter_id FROM dead_letters WHERE settled_at < clock_timestamp() - make_interval(days => $2)
    ORDER BY settled_at LIMIT $1 FOR UPDATE SKIP LOCKED
)
