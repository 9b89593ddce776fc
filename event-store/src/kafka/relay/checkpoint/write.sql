INSERT INTO relay AS r (cluster, prefix, position, generation, last_events, last_station_commands, epoch)
VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT (cluster, prefix) DO UPDATE
SET position = excluded.position, generation = excluded.generation, last_events = excluded.last_events,
    last_station_commands = excluded.last_station_commands, epoch = excluded.epoch, written_at = clock_timestamp()
