-- What an answer tells besides its text: who answered, what was written to the provider's cache, how many requests an
-- attempt made. And an execution that repeats a failed one under its idempotency key.

INSERT INTO schema_compatibility (version, compatible_from) VALUES (2, 1);

-- Tokens of the prompt that the provider wrote to its cache, for 5 minutes (or an unknown time) and for an hour; NULL: not
-- told.
ALTER TABLE executions ADD COLUMN cache_write_5m_tokens integer;
ALTER TABLE executions ADD COLUMN cache_write_1h_tokens integer;
ALTER TABLE execution_attempts ADD COLUMN cache_write_5m_tokens integer;
ALTER TABLE execution_attempts ADD COLUMN cache_write_1h_tokens integer;

-- The model that answered the last call, as the provider names it; NULL: it named none, or no call was made.
ALTER TABLE executions ADD COLUMN response_model text;

-- How many requests the attempt made, where it is not the usual number: one with a latency, else none.
ALTER TABLE execution_attempts ADD COLUMN requests integer;

-- The failed execution that this one repeats. The idempotency key is this one's from then on, and the failed one has none.
ALTER TABLE executions ADD COLUMN retry_of uuid;

-- Prices of what is written to the cache, in nano-US-dollars per million tokens. NULL means as
-- `input`.
ALTER TABLE model_prices ADD COLUMN cache_write_5m bigint CHECK (cache_write_5m >= 0);
ALTER TABLE model_prices ADD COLUMN cache_write_1h bigint CHECK (cache_write_1h >= 0);

-- Anthropic's own prices for them, in the prices that a new ledger begins with.
UPDATE model_prices SET cache_write_5m = input * 5 / 4, cache_write_1h = input * 2
WHERE provider = 'anthropic' AND id >= '01900000-0000-7000-8000-000000010000'
    AND id < '01900000-0000-7000-8000-000000020000';
UPDATE revisions SET revision = revision + 1 WHERE scope = 'models';
