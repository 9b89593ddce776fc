SELECT position, generation, recorded_at, timeline, server_timeline, known_system, server_system, filling_upto, halt_reason,
       halt_head, halt_shared, halt_lost, halt_noticed
FROM log_lineage()
