SELECT * FROM dead_letters WHERE dead_letter_id > $2 AND copied_as IS DISTINCT FROM state ORDER BY dead_letter_id LIMIT $1
