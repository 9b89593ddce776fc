-- What is said to analysts of events that are in archives only (the view analytics.archives, made with the others).
COMMENT ON SCHEMA analytics IS
    'Typed views on events and read models, for analysts. Personal values are sealed. Views on events lack what is detached: analytics.archives says which positions of which class. Read as a member of coulomb_analyst.';
COMMENT ON FUNCTION analytics.position_at IS
    'The last position recorded at a time or before it, among those that the log still has: events in detached ranges (analytics.archives) are not looked at. WHERE position > analytics.position_at(...) is fast, WHERE recorded_at > ... looks at everything.';
