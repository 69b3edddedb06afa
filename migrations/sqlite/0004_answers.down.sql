ALTER TABLE model_prices DROP COLUMN cache_write_1h;
ALTER TABLE model_prices DROP COLUMN cache_write_5m;
ALTER TABLE execution_attempts DROP COLUMN requests;
ALTER TABLE executions DROP COLUMN retry_of;
ALTER TABLE executions DROP COLUMN response_model;
ALTER TABLE execution_attempts DROP COLUMN cache_write_1h_tokens;
ALTER TABLE execution_attempts DROP COLUMN cache_write_5m_tokens;
ALTER TABLE executions DROP COLUMN cache_write_1h_tokens;
ALTER TABLE executions DROP COLUMN cache_write_5m_tokens;

UPDATE revisions SET revision = revision + 1 WHERE scope = 'models';

DELETE FROM schema_compatibility WHERE version = 4;
