SELECT position, generation, last_events, last_station_commands FROM relay WHERE cluster = $1 AND prefix = $2
