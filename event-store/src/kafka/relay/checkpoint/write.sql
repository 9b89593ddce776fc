-- Not above the end of the log: it may be another server's meanwhile, which lacks what was relayed from the former.
INSERT INTO relay AS r (cluster, prefix, position, generation, last_events, last_station_commands, epoch)
SELECT $1, $2, $3, $4, $5, $6, $7 FROM log_head h WHERE h.position >= $3
ON CONFLICT (cluster, prefix) DO UPDATE
SET position = excluded.position, generation = excluded.generation, last_events = excluded.last_events,
    last_station_commands = excluded.last_station_commands, epoch = excluded.epoch, written_at = clock_timestamp()
