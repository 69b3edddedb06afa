-- Less work for each question about usage, and for each execution.

-- Usage of a whole project without model and environment: what most questions are about, from a few rollups an hour instead of
-- one for each model, environment, mode and status.

-- A release before would count it besides the series that it adds up.
INSERT INTO schema_compatibility (version, compatible_from) VALUES (9, 9);

-- Totals have no provider, which every other series has.
INSERT INTO usage_series (project_id, prompt_id, version_id, provider, model_name, environment, prompt_mode, status)
SELECT DISTINCT project_id, '', '', '', '', '', prompt_mode, status FROM usage_series WHERE prompt_id = '';

-- Histograms after each other are their sum.
INSERT INTO usage_rollups (series, span, start, executions, prompt_tokens, response_tokens, with_cost, cost_high, cost_low,
    latency_sum, latencies)
SELECT t.id, r.span, r.start, sum(r.executions), sum(r.prompt_tokens), sum(r.response_tokens), sum(r.with_cost),
    sum(r.cost_high), sum(r.cost_low), sum(r.latency_sum), unhex(group_concat(hex(r.latencies), ''))
FROM usage_series t
    CROSS JOIN usage_series s ON s.project_id = t.project_id AND s.prompt_id = '' AND s.provider <> ''
        AND s.prompt_mode = t.prompt_mode AND s.status = t.status
    CROSS JOIN usage_rollups r ON r.series = s.id
WHERE t.prompt_id = '' AND t.provider = ''
GROUP BY t.id, r.span, r.start;

-- The checks of the three columns of states as comparisons. For a list of more than two words SQLite builds a table in memory
-- each time that it checks a row: five of them were a seventh of what recording an execution took. Constraints cannot be
-- altered; their text can (https://www.sqlite.org/lang_altertable.html#otheralter).
PRAGMA writable_schema = ON;
UPDATE sqlite_schema SET sql = replace(sql,
    '(status IN (''queued'', ''running'', ''succeeded'', ''failed'', ''canceled''))',
    '(status IN (''queued'', ''running'') OR status IN (''succeeded'', ''failed'') OR status = ''canceled'')')
WHERE type = 'table' AND name = 'executions';
UPDATE sqlite_schema SET sql = replace(replace(sql,
    '(from_status IN (''queued'', ''running'', ''succeeded'', ''failed'', ''canceled''))',
    '(from_status IN (''queued'', ''running'') OR from_status IN (''succeeded'', ''failed'') OR from_status = ''canceled'')'),
    '(to_status IN (''queued'', ''running'', ''succeeded'', ''failed'', ''canceled''))',
    '(to_status IN (''queued'', ''running'') OR to_status IN (''succeeded'', ''failed'') OR to_status = ''canceled'')')
WHERE type = 'table' AND name = 'execution_events';
PRAGMA writable_schema = RESET;
-- Other connections read the schema again.
CREATE TABLE schema_has_changed (id INTEGER PRIMARY KEY);
DROP TABLE schema_has_changed;
