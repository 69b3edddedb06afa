FROM unnest($1::uuid[], $2::int4[]) AS n (prompt_id, version_number)
CROSS JOIN LATERAL (
    SELECT * FROM prompt_versions q
    WHERE q.prompt_id = n.prompt_id AND q.version_number BETWEEN n.version_number AND n.version_number
    ORDER BY q.version_number LIMIT 1) v
