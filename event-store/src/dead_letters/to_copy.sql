SELECT * FROM dead_letters WHERE copied_as IS DISTINCT FROM state ORDER BY dead_letter_id LIMIT $1
