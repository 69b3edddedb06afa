UPDATE revisions SET revision = revision + 1 WHERE scope = 'keys' AND changes() > 0;
