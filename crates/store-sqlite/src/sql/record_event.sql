INSERT INTO execution_events (execution_id, sequence, at, from_status, to_status, attempt)
VALUES (:id, 1, :at, NULL, :status, :attempt)
