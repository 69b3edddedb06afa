-- Live feeds walk events by time. Events come nearly in that order: a few bytes of index for thousands of them.
CREATE INDEX execution_events_at ON execution_events USING brin (at) WITH (pages_per_range = 16, autosummarize = on);

INSERT INTO schema_compatibility (version, compatible_from) VALUES (2, 1);
