INSERT INTO accounts (user_id, tenant_id, role, email_hash, email, name, phone, password_hash, created_at, in_log)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
