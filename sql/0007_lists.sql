-- An author's posts by title: one index for each way a list is sorted, as for the others.
ALTER TABLE posts
    ADD INDEX IF NOT EXISTS ix_posts_author_title (author_id, title, id),
    ADD INDEX IF NOT EXISTS ix_posts_author_published_title (author_id, published, title, id),
    ROW_FORMAT = DYNAMIC;
