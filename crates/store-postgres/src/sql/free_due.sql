    SELECT d.* FROM unnest(:providers::text[]) AS p (provider) CROSS JOIN LATERAL (
        SELECT e.id, :worker::text AS worker, :claim_id::uuid AS claim_id, :lease::int8 AS lease,
            clock_timestamp() AS at, e.available_at AS due_at
        FROM executions e
        WHERE e.provider = p.provider AND e.status = 'queued' AND e.available_at <= (SELECT clock_timestamp())
            AND e.needs <= :capability
        ORDER BY e.available_at LIMIT :most FOR NO KEY UPDATE OF e SKIP LOCKED
    ) d ORDER BY d.due_at LIMIT :most