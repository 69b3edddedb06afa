SELECT x.created_at
FROM projects j
CROSS JOIN LATERAL (SELECT e.created_at FROM executions e
    WHERE e.project_id = j.id AND e.created_at >= :from AND e.created_at < :to
    ORDER BY e.created_at LIMIT :crowd + 1) x
ORDER BY x.created_at OFFSET :crowd LIMIT 1
