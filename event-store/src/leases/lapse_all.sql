WITH gone AS (DELETE FROM lease_workers)
UPDATE leases SET until = clock_timestamp() WHERE until > clock_timestamp()
