SELECT v.execution_id, v.sequence, v.at, v.from_status, v.to_status, v.attempt, v.error_type, v.next_attempt_at
FROM unnest(:rows) AS n (id, attempt, next, error_type, error_message, provider_request_id, latency_ms)
JOIN execution_attempts a ON a.execution_id = n.id AND a.number = n.attempt
    AND a.error_type IS NOT DISTINCT FROM n.error_type AND a.error_message = n.error_message
    AND a.provider_request_id = n.provider_request_id AND a.latency_ms IS NOT DISTINCT FROM n.latency_ms
JOIN execution_events v ON v.execution_id = n.id AND v.attempt = n.attempt AND v.from_status = 'running'
    AND (v.to_status = n.next OR v.to_status = 'canceled' AND n.next IN ('queued', 'running'))
