SELECT user_id, tenant_id FROM accounts WHERE lower(email) = lower($1) AND role = 'operator' ORDER BY created_at LIMIT 1
