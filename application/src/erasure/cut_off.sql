SELECT tenant_id, driver_id FROM erasures
WHERE done_at IS NULL AND requested_at < now() - interval '1 minute'
ORDER BY requested_at LIMIT 100
