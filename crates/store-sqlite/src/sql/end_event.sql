INSERT INTO execution_events (execution_id, sequence, at, from_status, to_status, attempt, error_type)
VALUES (:id, :sequence, :at, 'running', :status, :attempt, :error_type)
