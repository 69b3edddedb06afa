WITH found AS (
    SELECT e.id, e.status AS was, e.worker, e.attempt_started_at, clock_timestamp() AS at,
        n.becomes, n.error_type, n.message
    FROM unnest(:rows)
        AS n (id, last_sequence, cancel_requested, becomes, error_type, message)
    JOIN executions e ON e.id = n.id
    WHERE e.last_sequence = n.last_sequence AND (e.cancel_requested_at IS NOT NULL) = n.cancel_requested
        AND CASE e.status WHEN 'running' THEN e.lease_until <= clock_timestamp()
            WHEN 'queued' THEN e.expire_at <= clock_timestamp() ELSE false END
    ORDER BY e.id FOR NO KEY UPDATE OF e SKIP LOCKED
), ended AS (
    UPDATE executions e SET status = f.becomes, last_sequence = e.last_sequence + 1, lease_until = NULL,
        available_at = CASE WHEN f.becomes = 'queued' THEN f.at END,
        completed_at = CASE WHEN f.becomes <> 'queued' THEN f.at END,
        error_type = CASE WHEN f.becomes <> 'queued' THEN f.error_type END,
        error_message = CASE WHEN f.becomes <> 'queued' THEN f.message END,
        provider_request_id = CASE WHEN f.was = 'running' THEN '' ELSE e.provider_request_id END,
        response_model = CASE WHEN f.was <> 'running' THEN e.response_model END,
        cost_nano_usd = CASE WHEN f.becomes <> 'queued' THEN {cost} END
    FROM found f WHERE e.id = f.id AND (e.status = 'queued' OR e.lease_until <= clock_timestamp())
    RETURNING e.id, f.was, f.becomes, f.error_type, f.at, e.last_sequence, e.attempts, f.worker,
        f.attempt_started_at AS begun_at
), attempts AS (
    INSERT INTO execution_attempts (execution_id, number, worker, started_at, ended_at, error_type, error_message,
        provider_request_id)
    SELECT id, attempts, worker, begun_at, at, :left_error_type, :left_message, '' FROM ended WHERE was = 'running'
)
INSERT INTO execution_events (execution_id, sequence, at, from_status, to_status, attempt, error_type,
    next_attempt_at)
SELECT id, last_sequence, at, was, becomes, attempts, error_type, CASE WHEN becomes = 'queued' THEN at END FROM ended
RETURNING execution_id, sequence, at, from_status, to_status, attempt, error_type, next_attempt_at
