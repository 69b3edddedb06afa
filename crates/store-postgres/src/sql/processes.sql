SELECT id, kind, providers, release, has_left,
    greatest(0, extract(epoch FROM clock_timestamp() - seen_at) * 1000000)::int8 AS age
FROM processes WHERE seen_at > clock_timestamp() - :known_for::int8 * interval '1 microsecond' ORDER BY seen_at DESC, id
