-- Mail that has not been sent yet. No token is in it: that is derived from the row's id under the
-- key that `kid` names, when the message is made. A row goes when its message was taken.
-- `due_at` is when it may be taken next; for one that is being sent, when its claim runs out; for
-- one that will not be sent, when it is deleted. Rows for nobody are there so that an answer takes
-- the same time.
CREATE TABLE IF NOT EXISTS outbox (
    id UUID NOT NULL,
    kind VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    address VARCHAR(254) CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin NOT NULL,
    other VARCHAR(254) CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin NULL,
    kid VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NULL,
    created_at DATETIME(6) NOT NULL,
    expires_at DATETIME(6) NOT NULL,
    state ENUM('waiting', 'failed', 'given_up', 'nobody') NOT NULL DEFAULT 'waiting',
    due_at DATETIME(6) NOT NULL,
    claim UUID NULL,
    attempts INT NOT NULL DEFAULT 0,
    last_end VARCHAR(60) CHARACTER SET ascii COLLATE ascii_bin NULL,
    PRIMARY KEY (id),
    INDEX ix_outbox_due (state, due_at, id),
    INDEX ix_outbox_oldest (state, id)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC
    DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;
