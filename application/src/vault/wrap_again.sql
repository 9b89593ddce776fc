UPDATE vault_keys AS k SET wrapped = n.wrapped
FROM unnest($1::uuid[], $2::bytea[]) AS n (key_id, wrapped)
WHERE k.key_id = n.key_id
