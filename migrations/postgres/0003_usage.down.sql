DROP TABLE usage_stragglers;
DROP TABLE usage_rollups;
DROP TABLE usage_folded;

DELETE FROM schema_compatibility WHERE version = 3;
