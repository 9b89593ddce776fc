SELECT d.oid::bigint, pg_encoding_to_char(d.encoding)::text, d.datcollate::text, d.datctype::text
FROM pg_database d
WHERE d.datname = current_database()
