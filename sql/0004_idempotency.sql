-- What was answered to a request with an Idempotency-Key, so that the same request gets the
-- same answer. Written in the transaction of the request itself.
CREATE TABLE IF NOT EXISTS idempotency_keys (
    id BINARY(32) NOT NULL,
    fingerprint BINARY(32) NOT NULL,
    status SMALLINT NOT NULL DEFAULT 0,
    headers TEXT NULL,
    body MEDIUMTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL,
    expires_at DATETIME(6) NOT NULL,
    PRIMARY KEY (id),
    INDEX ix_idempotency_keys_expires (expires_at)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC
    DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;
