UPDATE executions SET idempotency_key = NULL, request_hash = NULL
WHERE id = :retry_of AND prompt_id IS NOT DISTINCT FROM :prompt_id AND idempotency_key IS NOT DISTINCT FROM :idempotency_key
    AND request_hash IS NOT DISTINCT FROM :request_hash AND status IS NOT DISTINCT FROM 'failed'
