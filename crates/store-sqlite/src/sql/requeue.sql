UPDATE executions SET status = iif(cancel_requested_at IS NULL, job.next, 'canceled'),
    completed_at = iif(cancel_requested_at IS NULL, NULL, job.at),
    available_at = iif(cancel_requested_at IS NULL, job.next_at, NULL), lease_until = NULL,
    handed_back = executions.handed_back + job.handed_back,
