-- The trace that an execution belongs to.

INSERT INTO schema_compatibility (version, compatible_from) VALUES (12, 9);

-- The `traceparent` of the call that asked for the execution (W3C Trace Context); NULL where it sent none. Releases before write
-- none, and do not read it.
ALTER TABLE executions ADD COLUMN trace TEXT;
