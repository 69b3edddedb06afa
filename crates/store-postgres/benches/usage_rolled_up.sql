-- Whether all ended executions are in the rollups, and the number of executions in them.
SELECT (SELECT until FROM usage_rolled_up) > (SELECT max(created_at) FROM executions),
    (SELECT coalesce(sum(executions), 0)::int8 FROM usage_rollups
        WHERE span = 1 AND prompt_id = '00000000-0000-0000-0000-000000000000');
