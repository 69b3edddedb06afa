WITH walked AS MATERIALIZED ({walks})
SELECT d.id, d.matches, d.stopped FROM walked d
WHERE coalesce((d.created_at, d.id) >= (SELECT s.created_at, s.id FROM walked s WHERE s.stopped
    ORDER BY s.created_at DESC, s.id DESC LIMIT 1), true)
ORDER BY d.created_at DESC, d.id DESC LIMIT :most
