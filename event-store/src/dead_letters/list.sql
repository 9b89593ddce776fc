SELECT * FROM dead_letters
WHERE dead_letter_id > $1
  AND ($2::text IS NULL OR source = $2) AND ($3::text IS NULL OR state = $3) AND ($4::text IS NULL OR model = $4)
ORDER BY dead_letter_id
LIMIT $5
