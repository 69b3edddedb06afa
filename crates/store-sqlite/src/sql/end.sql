UPDATE executions SET status = job.status, error_type = job.error_type, error_message = job.error_message,
    response_truncated = job.response_truncated, finish_reason = job.finish_reason, cost_nano_usd = job.cost_nano_usd,
    completed_at = job.at, lease_until = NULL,
