INSERT INTO execution_events (execution_id, sequence, at, from_status, to_status, attempt)
SELECT id, last_sequence + 1, :at, status, 'canceled', attempts FROM executions
WHERE id = :id AND project_id = :project_id AND status = 'queued';

UPDATE executions SET cancel_requested_at = :at, cancel_reason = :reason
WHERE id = :id AND project_id = :project_id AND status = 'running' AND cancel_requested_at IS NULL;

UPDATE executions SET status = 'canceled', completed_at = :at, available_at = NULL, last_sequence = last_sequence + 1,
    cancel_requested_at = :at, cancel_reason = :reason
WHERE id = :id AND project_id = :project_id AND status = 'queued'
RETURNING last_sequence, attempts
