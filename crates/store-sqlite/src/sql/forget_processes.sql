DELETE FROM processes AS p
WHERE p.seen_at <= :known_since
    OR (p.seen_at <= :superseded_since AND EXISTS (
        SELECT 1 FROM processes later
        WHERE later.kind = p.kind AND later.providers = p.providers AND later.seen_at > p.seen_at))
