INSERT INTO execution_attempts (execution_id, number, worker, started_at, ended_at, error_type, error_message,
    provider_request_id)
SELECT id, attempts, worker, attempt_started_at, :at, :left_error_type, :left_message, '' FROM executions
WHERE id = :id AND status = 'running';

INSERT INTO execution_events (execution_id, sequence, at, from_status, to_status, attempt, error_type,
    next_attempt_at)
SELECT id, last_sequence + 1, :at, status, :becomes, attempts, :error_type, iif(:becomes = 'queued', :at, NULL)
FROM executions WHERE id = :id;

UPDATE executions SET status = :becomes, last_sequence = last_sequence + 1, lease_until = NULL,
    available_at = iif(:becomes = 'queued', :at, NULL), completed_at = iif(:becomes = 'queued', NULL, :at),
    error_type = iif(:becomes = 'queued', NULL, :error_type), error_message = iif(:becomes = 'queued', NULL, :message),
    provider_request_id = iif(status = 'running', '', provider_request_id),
    response_model = iif(status = 'running', NULL, response_model)
WHERE id = :id
