-- Who has an account. Identities compare exactly over a folded column: a collation that
-- ignores accents would take ádmin for admin, and one that pads would ignore spaces.
CREATE TABLE IF NOT EXISTS users (
    id UUID NOT NULL,
    email VARCHAR(254) CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin NOT NULL,
    email_folded VARCHAR(254) CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin
        GENERATED ALWAYS AS (LOWER(email)) STORED,
    password_hash VARCHAR(512) CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin NOT NULL,
    first_name VARCHAR(100) NULL,
    last_name VARCHAR(100) NULL,
    role ENUM('user', 'admin') NOT NULL DEFAULT 'user',
    is_active BOOLEAN NOT NULL DEFAULT TRUE,
    created_at DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
    updated_at DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
    version BIGINT NOT NULL DEFAULT 1,
    -- For searching: the folded first name, and the trigrams of it and of the e-mail, each
    -- spelled as one word. Filled by the program; `postern reindex` does it for imported rows.
    first_name_folded VARCHAR(100) CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin NULL,
    search_grams TEXT CHARACTER SET ascii COLLATE ascii_bin NULL,
    PRIMARY KEY (id),
    CONSTRAINT uq_users_email UNIQUE (email_folded),
    INDEX ix_users_created (created_at, id),
    INDEX ix_users_role_created (role, created_at, id),
    INDEX ix_users_role_email (role, email_folded),
    INDEX ix_users_role_active (role, is_active),
    FULLTEXT INDEX ft_users_grams (search_grams)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC
    DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;

-- How many users there are of each role, as the sum of sixteen rows, so that writers do not
-- wait for each other. Kept in each write's own transaction.
CREATE TABLE IF NOT EXISTS user_counts (
    role ENUM('user', 'admin') NOT NULL,
    slot TINYINT UNSIGNED NOT NULL,
    n BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (role, slot)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC
    DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;

INSERT IGNORE INTO user_counts (role, slot) VALUES
    ('user', 0), ('user', 1), ('user', 2), ('user', 3), ('user', 4), ('user', 5), ('user', 6),
    ('user', 7), ('user', 8), ('user', 9), ('user', 10), ('user', 11), ('user', 12),
    ('user', 13), ('user', 14), ('user', 15),
    ('admin', 0), ('admin', 1), ('admin', 2), ('admin', 3), ('admin', 4), ('admin', 5),
    ('admin', 6), ('admin', 7), ('admin', 8), ('admin', 9), ('admin', 10), ('admin', 11),
    ('admin', 12), ('admin', 13), ('admin', 14), ('admin', 15);
