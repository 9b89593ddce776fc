INSERT INTO transactions (charge_point_id, transaction_id, session_id)
SELECT $1, number::text, $2 FROM nextval('transaction_numbers') AS number
RETURNING transaction_id::integer
