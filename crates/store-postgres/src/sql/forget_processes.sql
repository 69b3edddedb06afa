DELETE FROM processes p
WHERE p.seen_at <= clock_timestamp() - :known_for::int8 * interval '1 microsecond'
    OR (p.seen_at <= clock_timestamp() - :superseded_for::int8 * interval '1 microsecond' AND EXISTS (
        SELECT 1 FROM processes later
        WHERE later.kind = p.kind AND later.providers = p.providers AND later.seen_at > p.seen_at))
