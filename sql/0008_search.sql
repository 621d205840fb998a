-- The search index: which rows have which terms, as common/search explains. All of it can be made
-- again from the tables that it indexes: `postern reindex`. An index is made beside the one that
-- is read, under a number of its own, so that it can be replaced while it is used.
CREATE TABLE IF NOT EXISTS search_builds (
    build INT UNSIGNED NOT NULL AUTO_INCREMENT,
    list TINYINT UNSIGNED NOT NULL,
    state ENUM('building', 'live', 'leaving') NOT NULL,
    since DATETIME(6) NOT NULL,
    next_ord INT UNSIGNED NOT NULL DEFAULT 0,
    -- Ordinals below this have their postings: all, but for an index that is building.
    written INT UNSIGNED NOT NULL DEFAULT 0,
    -- Of one that is building: the last row that it has, in the order of created_at and id.
    built_at DATETIME(6) NULL,
    built_id UUID NULL,
    -- How far merging has come, of levels 1 and 2: segments below this base, and of the one that
    -- begins there the buckets below that, are merged into the next level.
    merged1_base INT UNSIGNED NOT NULL DEFAULT 0,
    merged1_bucket SMALLINT UNSIGNED NOT NULL DEFAULT 0,
    merged2_base INT UNSIGNED NOT NULL DEFAULT 0,
    merged2_bucket SMALLINT UNSIGNED NOT NULL DEFAULT 0,
    -- Bytes of the longest patch, and how many blobs could not be read any more.
    patch_max INT UNSIGNED NOT NULL DEFAULT 0,
    lost INT UNSIGNED NOT NULL DEFAULT 0,
    -- Rises with each transaction that goes by this row, so that two hosts of a cluster meet here.
    turn BIGINT UNSIGNED NOT NULL DEFAULT 0,
    -- Made by which format, and by whose letters.
    format SMALLINT UNSIGNED NOT NULL,
    unicode VARCHAR(20) CHARACTER SET ascii NOT NULL,
    PRIMARY KEY (build),
    INDEX ix_search_builds_list (list, state)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC
    DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;

-- Which row an ordinal is.
CREATE TABLE IF NOT EXISTS search_rows (
    build INT UNSIGNED NOT NULL,
    ord INT UNSIGNED NOT NULL,
    id UUID NOT NULL,
    created_at DATETIME(6) NOT NULL,
    PRIMARY KEY (build, ord),
    CONSTRAINT uq_search_rows_id UNIQUE (build, id)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC
    DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;

-- One blob of postings, under its key.
CREATE TABLE IF NOT EXISTS search_postings (
    build INT UNSIGNED NOT NULL,
    lvl TINYINT UNSIGNED NOT NULL,
    bucket SMALLINT UNSIGNED NOT NULL,
    base INT UNSIGNED NOT NULL,
    postings MEDIUMBLOB NOT NULL,
    PRIMARY KEY (build, lvl, bucket, base)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC
    DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;

-- From when to when the rows of 65,536 ordinals were made, and the same of each block of 256 of
-- them: two numbers of eight bytes, little endian, microseconds since 1970; without rows the first
-- is the highest number and the last the lowest.
CREATE TABLE IF NOT EXISTS search_ranges (
    build INT UNSIGNED NOT NULL,
    base INT UNSIGNED NOT NULL,
    first_at DATETIME(6) NOT NULL,
    last_at DATETIME(6) NOT NULL,
    blocks BLOB NOT NULL,
    PRIMARY KEY (build, base)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC
    DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;
