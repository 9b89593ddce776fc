-- Of these streams, those that are over: nothing is decided on them any more.
SELECT key::uuid FROM views.sessions WHERE key = ANY ($1) AND state = ANY ($2)
UNION ALL
SELECT key::uuid FROM views.commands WHERE key = ANY ($1) AND state = ANY ($3)
