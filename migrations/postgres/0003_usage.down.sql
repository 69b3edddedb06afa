DROP TABLE usage_open_executions;
DROP TABLE usage_rollups;
DROP TABLE usage_rolled_up;

DELETE FROM schema_compatibility WHERE version = 3;
