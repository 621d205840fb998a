-- What became more or fewer, a row for each write and in its own transaction, so that writers never
-- wait for each other. A row with an owner counts for that owner and for the whole of its total;
-- the nil owner is the whole alone. `row_id` names what was written, for what else is kept in step.
CREATE TABLE IF NOT EXISTS list_journal (
    id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT,
    total TINYINT UNSIGNED NOT NULL,
    owner UUID NOT NULL,
    kind TINYINT UNSIGNED NOT NULL,
    n BIGINT NOT NULL,
    row_id UUID NULL,
    written_at DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP,
    PRIMARY KEY (id)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC
    DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;

-- How many there were when the journal was swept last: a total is what stands here and in the
-- journal together.
CREATE TABLE IF NOT EXISTS list_counts (
    total TINYINT UNSIGNED NOT NULL,
    owner UUID NOT NULL,
    kind TINYINT UNSIGNED NOT NULL,
    n BIGINT NOT NULL,
    PRIMARY KEY (total, owner, kind)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC
    DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;

-- No total has the number 0: who sweeps has this row locked.
INSERT IGNORE INTO list_counts (total, owner, kind, n)
    VALUES (0, '00000000-0000-0000-0000-000000000000', 0, 0);

-- Move the totals over, each in one transaction that also empties the table they come from: what
-- is interrupted is neither lost nor doubled when it runs again.
BEGIN NOT ATOMIC
    IF EXISTS (SELECT 1 FROM information_schema.tables
        WHERE table_schema = DATABASE() AND table_name = 'user_counts') THEN
        START TRANSACTION; INSERT INTO list_counts (total, owner, kind, n)
            SELECT 1, '00000000-0000-0000-0000-000000000000', role + 0 - 1, SUM(n)
            FROM user_counts GROUP BY role HAVING SUM(n) <> 0 FOR UPDATE
            ON DUPLICATE KEY UPDATE n = list_counts.n + VALUES(n); DELETE FROM user_counts; COMMIT
        ; END IF
; END;

BEGIN NOT ATOMIC
    IF EXISTS (SELECT 1 FROM information_schema.tables
        WHERE table_schema = DATABASE() AND table_name = 'post_totals') THEN
        START TRANSACTION; INSERT INTO list_counts (total, owner, kind, n)
            SELECT 2, '00000000-0000-0000-0000-000000000000', published, SUM(n)
            FROM post_totals GROUP BY published HAVING SUM(n) <> 0 FOR UPDATE
            ON DUPLICATE KEY UPDATE n = list_counts.n + VALUES(n); DELETE FROM post_totals; COMMIT
        ; END IF
; END;

BEGIN NOT ATOMIC
    IF EXISTS (SELECT 1 FROM information_schema.tables
        WHERE table_schema = DATABASE() AND table_name = 'post_counts') THEN
        START TRANSACTION; INSERT INTO list_counts (total, owner, kind, n)
            SELECT 2, author_id, published, post_counts.n FROM post_counts WHERE post_counts.n <> 0
            FOR UPDATE
            ON DUPLICATE KEY UPDATE n = list_counts.n + VALUES(n); DELETE FROM post_counts; COMMIT
        ; END IF
; END;

DROP TABLE IF EXISTS user_counts, post_totals, post_counts;
