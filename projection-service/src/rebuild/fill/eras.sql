-- Nothing was kept of what rows were before.
INSERT INTO history.eras (first, every)
SELECT (SELECT max(p.position) FROM views.progress p), (SELECT e.every FROM history.eras e ORDER BY e.first DESC LIMIT 1)
ON CONFLICT (first) DO NOTHING
