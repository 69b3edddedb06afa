WHERE executions.status = 'queued' AND executions.needs <= :capability AND id IN (
    SELECT e.id FROM json_each(:providers) AS p CROSS JOIN executions e ON e.id IN (
        SELECT id FROM executions WHERE provider = p.value AND status = 'queued' AND available_at <= :at
            AND needs <= :capability ORDER BY available_at LIMIT :most)
    ORDER BY e.available_at LIMIT :most);
