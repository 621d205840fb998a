-- Every word counts in a search, also "the". Neither a definition nor a dump carries this setting:
-- whoever rebuilds the index must have it. `postern reindex` does, and so has each session of ours.
SET STATEMENT innodb_ft_enable_stopword = OFF FOR
CREATE TABLE IF NOT EXISTS posts (
    id UUID NOT NULL,
    author_id UUID NOT NULL,
    title VARCHAR(255) NOT NULL,
    content TEXT NOT NULL,
    published BOOLEAN NOT NULL DEFAULT FALSE,
    created_at DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
    updated_at DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
    version BIGINT NOT NULL DEFAULT 1,
    PRIMARY KEY (id),
    CONSTRAINT fk_posts_author FOREIGN KEY (author_id) REFERENCES users (id) ON DELETE CASCADE,
    -- One for each way a list is sorted, so that a page costs what it shows.
    INDEX ix_posts_published_created (published, created_at, id),
    INDEX ix_posts_published_title (published, title, id),
    INDEX ix_posts_author_created (author_id, created_at, id),
    INDEX ix_posts_author_published_created (author_id, published, created_at, id),
    FULLTEXT INDEX ft_posts_words (title, content)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC
    DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;

-- How many posts an author has, by published.
CREATE TABLE IF NOT EXISTS post_counts (
    author_id UUID NOT NULL,
    published BOOLEAN NOT NULL,
    n BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (author_id, published)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC
    DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;

-- How many posts there are in all, by published, as the sum of sixteen rows; see user_counts.
CREATE TABLE IF NOT EXISTS post_totals (
    published BOOLEAN NOT NULL,
    slot TINYINT UNSIGNED NOT NULL,
    n BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (published, slot)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC
    DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;

INSERT IGNORE INTO post_totals (published, slot) VALUES
    (0, 0), (0, 1), (0, 2), (0, 3), (0, 4), (0, 5), (0, 6), (0, 7), (0, 8), (0, 9), (0, 10),
    (0, 11), (0, 12), (0, 13), (0, 14), (0, 15),
    (1, 0), (1, 1), (1, 2), (1, 3), (1, 4), (1, 5), (1, 6), (1, 7), (1, 8), (1, 9), (1, 10),
    (1, 11), (1, 12), (1, 13), (1, 14), (1, 15);
