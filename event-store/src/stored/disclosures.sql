SELECT id FROM streams WHERE type = 'Disclosure' AND version > 0 ORDER BY first_position
