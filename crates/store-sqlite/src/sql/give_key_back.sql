UPDATE executions SET idempotency_key = :idempotency_key, request_hash = :request_hash
    WHERE id = :retry_of AND prompt_id = :prompt_id
