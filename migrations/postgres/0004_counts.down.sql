DELETE FROM schema_compatibility WHERE version = 4;
