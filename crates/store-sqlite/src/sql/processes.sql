SELECT id, kind, providers, release, has_left, max(0, :at - seen_at) AS age
FROM processes WHERE seen_at > :known_since ORDER BY seen_at DESC, id
