FROM json_each(:next) AS hint
WHERE executions.status = 'queued' AND executions.needs <= :capability AND executions.id = hint.value ->> 0
    AND executions.provider IN (SELECT value FROM json_each(:providers))
    AND (attempts + 1 = hint.value ->> 1 OR available_at <= :at);
