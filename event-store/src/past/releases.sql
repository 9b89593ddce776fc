SELECT position FROM events
WHERE position = ANY ($1) AND event_type IN ('ParkedKeyReleased', 'ParkedEventSkipped')
