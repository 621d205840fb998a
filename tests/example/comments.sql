-- What users say about posts. A post goes before its comments, so no foreign key holds it.
CREATE TABLE IF NOT EXISTS comments (
    id UUID NOT NULL,
    post_id UUID NOT NULL,
    author_id UUID NOT NULL,
    content TEXT NOT NULL,
    created_at DATETIME(6) NOT NULL,
    updated_at DATETIME(6) NOT NULL,
    version BIGINT NOT NULL,
    PRIMARY KEY (id),
    CONSTRAINT fk_comments_author FOREIGN KEY (author_id) REFERENCES users (id) ON DELETE CASCADE,
    -- One for each path of the list.
    INDEX ix_comments_post (post_id, created_at, id),
    INDEX ix_comments_author (author_id, created_at, id)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC
    DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;
