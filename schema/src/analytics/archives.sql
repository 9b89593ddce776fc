-- Ranges of positions whose events of one class are in object storage. The views on events lack those that are detached: a query
-- over their positions counts too few.
-- class: ledger, operational or telemetry
-- last_position: Included
-- events: How many there are
-- url: Of the folder that has them as Parquet
-- archived_at: Since when they are there
-- detached_at: Since when they are there only, and in no view; null: the log has them still
SELECT CASE a.retention WHEN 1 THEN 'ledger' WHEN 2 THEN 'operational' WHEN 3 THEN 'telemetry' END AS class,
       a.first AS first_position,
       a.last AS last_position,
       a.events,
       a.url,
       a.archived_at,
       a.detached_at
FROM public.log_archives a
