-- Whether a user has shown that the mailbox of their address is theirs. Who was there before, and
-- rows from elsewhere that say nothing else, count as verified. `pending_email` is what the address
-- changes to when the token that was mailed to it is used until `pending_until`.
ALTER TABLE users
    ADD COLUMN IF NOT EXISTS email_verified BOOLEAN NOT NULL DEFAULT TRUE,
    ADD COLUMN IF NOT EXISTS pending_email VARCHAR(254)
        CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin NULL,
    ADD COLUMN IF NOT EXISTS pending_until DATETIME(6) NULL, ROW_FORMAT = DYNAMIC;

-- Tokens that were mailed, each good once; the id is the message's. `user_id` is an account, or a
-- row of `registrations`. No foreign key holds it: an undo token outlives the account that it is
-- of, so that nobody else can have its address until it expires. `sequence` tells, of two undo
-- tokens of a user, which change of the address came later.
CREATE TABLE IF NOT EXISTS mailed_tokens (
    id UUID NOT NULL,
    hash BINARY(32) NOT NULL,
    kind ENUM('nobody', 'reset', 'invite', 'verify', 'register', 'change', 'undo') NOT NULL,
    user_id UUID NOT NULL,
    address VARCHAR(254) CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin NOT NULL,
    address_folded VARCHAR(254) CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin
        GENERATED ALWAYS AS (LOWER(address)) STORED,
    sequence BIGINT NOT NULL DEFAULT 0,
    expires_at DATETIME(6) NOT NULL,
    PRIMARY KEY (id),
    CONSTRAINT uq_mailed_tokens_hash UNIQUE (hash),
    INDEX ix_mailed_tokens_user (user_id, kind),
    INDEX ix_mailed_tokens_address (kind, address_folded),
    INDEX ix_mailed_tokens_expires (expires_at)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC
    DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;

-- Tokens that are on their way stay good. They have no message in the outbox, and so new ids.
BEGIN NOT ATOMIC
    IF EXISTS (SELECT 1 FROM information_schema.tables
        WHERE table_schema = DATABASE() AND table_name = 'password_resets') THEN
        INSERT IGNORE INTO mailed_tokens (id, hash, kind, user_id, address, expires_at)
            SELECT UUID(), token_hash, 'reset', users.id, users.email, expires_at
            FROM password_resets JOIN users ON users.id = password_resets.user_id
            WHERE users.left_at IS NULL AND users.is_active = 1
        ; END IF
; END;

DROP TABLE IF EXISTS password_resets;

-- Who registers where an address must be verified first: apart from the users until then, several
-- for one address. The id is the one that the user will have. Each goes with its token.
CREATE TABLE IF NOT EXISTS registrations (
    id UUID NOT NULL,
    email VARCHAR(254) CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin NOT NULL,
    password_hash VARCHAR(512) CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin NOT NULL,
    first_name VARCHAR(100) NULL,
    last_name VARCHAR(100) NULL,
    created_at DATETIME(6) NOT NULL,
    expires_at DATETIME(6) NOT NULL,
    PRIMARY KEY (id)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC
    DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;
