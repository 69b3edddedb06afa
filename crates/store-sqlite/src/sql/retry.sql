UPDATE executions SET status = iif(cancel_requested_at IS NULL, job.next, 'canceled'),
    completed_at = iif(cancel_requested_at IS NULL, NULL, job.at), attempts = attempts + (cancel_requested_at IS NULL),
    lease_until = iif(cancel_requested_at IS NULL, job.lease_until, NULL), attempt_started_at = job.at,
    worker = job.worker, claim_id = job.claim_id,
