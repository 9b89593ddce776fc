-- FOR SHARE: whoever takes one over waits for the end of this transaction. Sorted, so that two never wait for each other.
SELECT l.name, set_config('idle_in_transaction_session_timeout', $5, true)
FROM leases l
JOIN unnest($1::text[], $2::smallint[], $3::uuid[], $4::bigint[]) AS mine (name, partition, holder, epoch)
  ON l.name = mine.name AND l.partition = mine.partition AND l.holder = mine.holder AND l.epoch = mine.epoch
ORDER BY l.name, l.partition
FOR SHARE OF l
