UPDATE executions SET status = 'running', attempts = attempts + 1, worker = :worker, claim_id = :claim_id,
    lease_until = :lease_until, attempt_started_at = :at, started_at = coalesce(started_at, :at), available_at = NULL,
    last_sequence = last_sequence + 1
