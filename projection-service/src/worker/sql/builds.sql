SELECT build_id, model, number, fold_version, state = 'live' FROM views.builds
WHERE state IN ('live', 'joined') ORDER BY build_id
