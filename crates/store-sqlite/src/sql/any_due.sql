SELECT EXISTS (SELECT 1 FROM json_each(:providers) AS p CROSS JOIN executions ON provider = p.value
    AND status = 'queued' AND available_at <= :at AND needs <= :capability) AS any
