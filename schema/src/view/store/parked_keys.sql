SELECT k.partition_key
FROM views.parked_keys k JOIN views.builds b ON b.build_id = k.build_id
WHERE b.model = $1 AND b.state = 'live'
