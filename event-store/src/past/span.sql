SELECT log_sequence_at(s.type, s.id, $3), log_sequence_at(s.type, s.id, $4), s.version, s.first_position
FROM streams s WHERE s.id = $1 AND s.type = $2
