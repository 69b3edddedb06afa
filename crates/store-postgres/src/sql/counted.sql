WITH written AS (
    {write}
), counted AS (
    UPDATE revisions SET revision = revision + 1 WHERE scope = 'keys' AND EXISTS (SELECT 1 FROM written)
)
