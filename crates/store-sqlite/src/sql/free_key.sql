UPDATE executions SET idempotency_key = NULL, request_hash = NULL
WHERE id = :retry_of AND prompt_id IS :prompt_id AND idempotency_key IS :idempotency_key
    AND request_hash IS :request_hash AND status IS 'failed'
