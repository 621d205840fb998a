-- One row per login. Refresh tokens are stored as SHA-256 only: whoever reads this table
-- can log in as nobody.
CREATE TABLE IF NOT EXISTS sessions (
    id UUID NOT NULL,
    user_id UUID NOT NULL,
    refresh_hash BINARY(32) NOT NULL,
    created_at DATETIME(6) NOT NULL,
    last_used_at DATETIME(6) NOT NULL,
    expires_at DATETIME(6) NOT NULL,
    ip VARCHAR(45) CHARACTER SET ascii COLLATE ascii_bin NULL,
    user_agent VARCHAR(255) NULL,
    PRIMARY KEY (id),
    CONSTRAINT fk_sessions_user FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE,
    INDEX ix_sessions_user (user_id, created_at, id),
    INDEX ix_sessions_expires (expires_at)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC
    DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;

-- Refresh tokens that were used a moment ago, so that a parallel or repeated refresh can be
-- told from a stolen token. The next refresh of the session drops what is older.
CREATE TABLE IF NOT EXISTS session_refreshes (
    hash BINARY(32) NOT NULL,
    session_id UUID NOT NULL,
    used_at DATETIME(6) NOT NULL,
    PRIMARY KEY (hash),
    CONSTRAINT fk_session_refreshes_session FOREIGN KEY (session_id) REFERENCES sessions (id)
        ON DELETE CASCADE,
    INDEX ix_session_refreshes_session (session_id, used_at)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC
    DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;

-- Tokens sent by mail to who forgot a password.
CREATE TABLE IF NOT EXISTS password_resets (
    token_hash BINARY(32) NOT NULL,
    user_id UUID NOT NULL,
    expires_at DATETIME(6) NOT NULL,
    PRIMARY KEY (token_hash),
    CONSTRAINT fk_password_resets_user FOREIGN KEY (user_id) REFERENCES users (id)
        ON DELETE CASCADE,
    INDEX ix_password_resets_expires (expires_at)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC
    DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;
