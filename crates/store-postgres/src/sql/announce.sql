INSERT INTO processes (id, kind, providers, release, seen_at, has_left)
VALUES (:id, :kind, :providers, :release, clock_timestamp(), false)
ON CONFLICT (id) DO UPDATE SET kind = excluded.kind, providers = excluded.providers, release = excluded.release,
    seen_at = excluded.seen_at, has_left = false
