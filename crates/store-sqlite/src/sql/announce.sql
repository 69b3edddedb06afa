INSERT INTO processes (id, kind, providers, release, seen_at, has_left)
VALUES (:id, :kind, :providers, :release, :at, 0)
ON CONFLICT (id) DO UPDATE SET kind = excluded.kind, providers = excluded.providers, release = excluded.release,
    seen_at = excluded.seen_at, has_left = 0
