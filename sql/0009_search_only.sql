-- What searches were answered with before there was an index of our own: derived columns, and
-- FULLTEXT indexes. Each table is written anew, for InnoDB keeps a column of its own for these.
ALTER TABLE users
    DROP INDEX IF EXISTS ft_users_grams,
    DROP COLUMN IF EXISTS first_name_folded,
    DROP COLUMN IF EXISTS search_grams,
    FORCE, ROW_FORMAT = DYNAMIC;

ALTER TABLE posts DROP INDEX IF EXISTS ft_posts_words, FORCE, ROW_FORMAT = DYNAMIC;
