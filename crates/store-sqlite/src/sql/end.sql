UPDATE executions SET status = :status, error_type = :error_type, error_message = :error_message,
    response_truncated = :response_truncated, refused = :refused, finish_reason = :finish_reason, cost_nano_usd = :cost_nano_usd,
    completed_at = :at, lease_until = NULL,
