-- A condition of CASE is left at the first part that decides it. As a value all of its parts would be computed.
SELECT x.rowid, {at}, {id}, CASE WHEN x.project_id = :project_id
    AND (:status IS NULL OR x.status = :status)
    AND (:statuses IS NULL OR instr(:statuses, '"' || x.status || '"'))
    AND (:environment = '' OR x.environment = :environment)
    AND (:correlation_id = '' OR x.correlation_id = :correlation_id)
    AND (:prompt IS NULL OR x.prompt_id = :prompt) AND (:version IS NULL OR x.version_id = :version)
    AND (:number IS NULL OR x.version_environment = :number)
    AND (NOT :narrows OR (:label = '' OR x.label = :label) AND (:error_type = '' OR x.error_type = :error_type)
        AND (:provider = '' OR x.provider = :provider) AND (:model_name = '' OR x.model_name = :model_name)
        AND (:mode IS NULL OR x.mode = :mode) AND (:its_mode IS NULL OR x.mode = :its_mode)
        AND (:unchecked = 0 OR NOT EXISTS (
            SELECT 1 FROM json_each(:metadata) k WHERE NOT EXISTS (SELECT 1 FROM execution_metadata d
                WHERE d.execution_id = x.id AND d.key = k.key AND d.value = k.value))))
    THEN 1 ELSE 0 END AS matches
FROM {from}
WHERE {walk} AND {at} BETWEEN :earliest AND :latest AND (+{at}, {id}) < (:before_at, :before_id)
ORDER BY {at} DESC, {id} DESC LIMIT :budget
