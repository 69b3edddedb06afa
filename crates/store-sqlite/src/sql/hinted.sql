FROM json_each(:next) AS hint
WHERE executions.status = 'queued' AND executions.needs <= :capability AND executions.id = hint.value ->> 0
    AND (attempts + 1 = hint.value ->> 1 OR available_at <= :at);
