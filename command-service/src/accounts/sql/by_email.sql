SELECT user_id, tenant_id, role, password_hash, in_log
FROM accounts
WHERE tenant_id = $1 AND email_hash = $2
