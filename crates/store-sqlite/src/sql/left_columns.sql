id, status, mode, attempts, handed_back, max_retries, last_sequence,
    cancel_requested_at IS NOT NULL AS cancel_requested, coalesce(expire_at <= :at, 0) AS expired
