    SELECT e.id, n.worker, n.claim_id, n.lease, clock_timestamp() AS at, e.available_at AS due_at
    FROM unnest(:rows) AS n (id, attempt, worker, claim_id, lease)
    JOIN executions e ON e.id = n.id
    WHERE e.status IS NOT DISTINCT FROM 'queued' AND e.needs <= :capability
        AND e.provider = ANY (:providers::text[])
        AND (e.attempts + 1 = n.attempt OR e.available_at <= clock_timestamp())
    ORDER BY e.id FOR NO KEY UPDATE OF e SKIP LOCKED