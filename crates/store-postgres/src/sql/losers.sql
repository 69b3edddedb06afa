SELECT n.id, f.at, f.to_status, f.attempt, h.id AS holder_id, h.request_hash, h.status
FROM unnest(:rows) AS n (id, prompt_id, idempotency_key)
LEFT JOIN execution_events f ON f.execution_id = n.id AND f.sequence = 1
LEFT JOIN executions h ON h.prompt_id = n.prompt_id AND h.idempotency_key = n.idempotency_key
