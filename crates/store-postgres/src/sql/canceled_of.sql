SELECT e.id, e.attempts FROM unnest(:rows) AS n (id, attempt)
    JOIN executions e ON e.id = n.id AND e.attempts = n.attempt
    WHERE e.status IS NOT DISTINCT FROM 'running' AND e.cancel_requested_at IS NOT NULL
