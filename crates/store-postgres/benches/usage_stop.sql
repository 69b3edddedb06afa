-- Nothing is moved: what would have to have ended first never does.
UPDATE usage_rolled_up SET marked_at = now(), marked_xid = '9223372036854775807';
