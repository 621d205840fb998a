-- Rows that are gone and left others behind, too many for one transaction: these go bit by bit.
CREATE TABLE IF NOT EXISTS leftovers (
    owner UUID NOT NULL,
    table_name VARCHAR(64) NOT NULL,
    left_at DATETIME(6) NOT NULL,
    PRIMARY KEY (owner),
    INDEX ix_leftovers_left (left_at, owner)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC
    DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;
