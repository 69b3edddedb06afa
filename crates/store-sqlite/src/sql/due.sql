WHERE executions.status = 'queued' AND executions.needs <= :capability AND id IN (
    SELECT id FROM executions WHERE status = 'queued' AND available_at <= :at AND needs <= :capability
    ORDER BY available_at LIMIT :most);
