SELECT e.id, e.attempts, e.cancel_requested_at IS NOT NULL AS cancel_requested
    FROM unnest(:rows) AS n (id, attempt)
    JOIN executions e ON e.id = n.id AND e.attempts = n.attempt AND e.status IS NOT DISTINCT FROM 'running'
