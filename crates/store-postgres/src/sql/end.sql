WITH held AS (
    SELECT e.id, e.worker AS held_by, e.attempt_started_at AS begun_at, clock_timestamp() AS at,
        CASE WHEN n.next IN ('queued', 'running') AND e.cancel_requested_at IS NOT NULL THEN 'canceled'
            ELSE n.next END AS becomes,
        n.next IN ('queued', 'running') AND e.cancel_requested_at IS NOT NULL AS settles,
        n.attempt, n.error_type, n.error_message, n.provider_request_id, n.response_model, n.requests, n.prompt_tokens,
        n.cached_prompt_tokens, n.cache_write_5m_tokens, n.cache_write_1h_tokens, n.response_tokens, n.latency_ms,
        n.failure_type, n.failure_message, n.response_truncated, n.refused, n.finish_reason, n.cost, n.after, n.handed_back, n.worker, n.claim_id,
        n.lease, n.response, n.tool_calls,
        CASE WHEN n.prompt_tokens IS NULL THEN e.prompt_tokens
            ELSE least(coalesce(e.prompt_tokens, 0)::int8 + n.prompt_tokens, 2147483647)::int4 END AS all_prompt,
        CASE WHEN n.cached_prompt_tokens IS NULL THEN e.cached_prompt_tokens
            ELSE least(coalesce(e.cached_prompt_tokens, 0)::int8 + n.cached_prompt_tokens, 2147483647)::int4 END AS all_cached,
        CASE WHEN n.cache_write_5m_tokens IS NULL THEN e.cache_write_5m_tokens
            ELSE least(coalesce(e.cache_write_5m_tokens, 0)::int8 + n.cache_write_5m_tokens, 2147483647)::int4 END AS all_5m,
        CASE WHEN n.cache_write_1h_tokens IS NULL THEN e.cache_write_1h_tokens
            ELSE least(coalesce(e.cache_write_1h_tokens, 0)::int8 + n.cache_write_1h_tokens, 2147483647)::int4 END AS all_1h,
        CASE WHEN n.response_tokens IS NULL THEN e.response_tokens
            ELSE least(coalesce(e.response_tokens, 0)::int8 + n.response_tokens, 2147483647)::int4 END AS all_response
    FROM unnest(:rows)
        AS n (id, attempt, next, error_type, error_message, provider_request_id, response_model, requests,
            prompt_tokens, cached_prompt_tokens, cache_write_5m_tokens, cache_write_1h_tokens, response_tokens,
            latency_ms, failure_type, failure_message, response_truncated, refused, finish_reason, cost, after,
            handed_back, worker, claim_id, lease, response, tool_calls)
    JOIN executions e ON e.id = n.id
    WHERE e.status IS NOT DISTINCT FROM 'running' AND e.attempts = n.attempt
    ORDER BY e.id FOR NO KEY UPDATE OF e SKIP LOCKED
), ended AS (
    UPDATE executions e SET
        status = h.becomes, last_sequence = e.last_sequence + 1,
        attempts = e.attempts + (h.becomes = 'running')::int4, handed_back = e.handed_back + h.handed_back,
        prompt_tokens = h.all_prompt, cached_prompt_tokens = h.all_cached, cache_write_5m_tokens = h.all_5m,
        cache_write_1h_tokens = h.all_1h, response_tokens = h.all_response,
        provider_request_id = h.provider_request_id, response_model = h.response_model,
        latency_ms = coalesce(h.latency_ms, e.latency_ms),
        error_type = h.failure_type, error_message = h.failure_message, finish_reason = h.finish_reason,
        response_truncated = h.response_truncated, refused = h.refused,
        cost_nano_usd = CASE WHEN h.settles THEN {cost} ELSE h.cost END,
        completed_at = CASE WHEN h.becomes NOT IN ('queued', 'running') THEN h.at END,
        available_at = CASE WHEN h.becomes = 'queued' THEN h.at + h.after * interval '1 microsecond' END,
        lease_until = CASE WHEN h.becomes = 'running'
            THEN clock_timestamp() + h.lease * interval '1 microsecond' END,
        attempt_started_at = CASE WHEN h.becomes = 'running' THEN h.at ELSE e.attempt_started_at END,
        worker = CASE WHEN h.becomes = 'running' THEN h.worker ELSE e.worker END,
        claim_id = CASE WHEN h.becomes = 'running' THEN h.claim_id ELSE e.claim_id END
    FROM held h WHERE e.id = h.id
    RETURNING e.last_sequence, h.*
), attempts AS (
    INSERT INTO execution_attempts (execution_id, number, worker, started_at, ended_at, error_type, error_message,
        provider_request_id, prompt_tokens, cached_prompt_tokens, cache_write_5m_tokens, cache_write_1h_tokens,
        response_tokens, latency_ms, requests)
    SELECT id, attempt, held_by, begun_at, at, error_type, error_message, provider_request_id, prompt_tokens,
        cached_prompt_tokens, cache_write_5m_tokens, cache_write_1h_tokens, response_tokens, latency_ms, requests
    FROM ended
), outputs AS (
    INSERT INTO execution_outputs (execution_id, response_text, tool_calls)
    SELECT id, response, tool_calls FROM ended WHERE response <> '' OR tool_calls IS NOT NULL
)
INSERT INTO execution_events (execution_id, sequence, at, from_status, to_status, attempt, error_type,
    next_attempt_at)
SELECT id, last_sequence, at, 'running', becomes, attempt,
    CASE WHEN settles THEN NULL WHEN becomes IN ('queued', 'running') THEN error_type ELSE failure_type END,
    CASE WHEN becomes IN ('queued', 'running') THEN at + after * interval '1 microsecond' END
FROM ended
RETURNING execution_id, sequence, at, from_status, to_status, attempt, error_type, next_attempt_at
