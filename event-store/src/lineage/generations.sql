SELECT number, shared_upto, lost_from, lost_upto, reason, timeline, system_identifier::text, began_at, completed_at, position
FROM log_generations ORDER BY number
