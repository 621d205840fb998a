# shellcheck shell=bash disable=SC2154 # what is not set here, `run` has set
#
# rows.bash -- for `run`: rows to measure on, made by seed.awk once and kept.

readonly seed_version=2 # of rows that are kept; count up when seed.awk changes
readonly password='correct horse battery' # of every user

sql()
{
    mariadb --no-defaults --socket="$database_socket" --user="$(id -un)" --local-infile=1 \
        --default-character-set=utf8mb4 --batch --raw --skip-column-names postern "$@"
}

# alter TABLE CHANGE...: all changes at once; every word counts in a full-text index.
alter()
{
    local table=$1 list
    shift
    (($#)) || return 0
    list=$(printf ', %s' "$@")
    sql -e "SET foreign_key_checks = 0, innodb_ft_enable_stopword = 0; ALTER TABLE $table ${list:1}"
}

# keys_of TABLE: as they are defined, each in a line; no primary and no unique ones.
keys_of()
{
    sql -e "SHOW CREATE TABLE $1" | sed -n 's/^  \(\(FULLTEXT \)\{0,1\}KEY .*)\),\{0,1\}$/\1/p'
}

drop_keys()
{
    local -a list
    # shellcheck disable=SC2016 # these are SQL's quotes
    mapfile -t list < <(keys_of "$1" | sed 's/^[A-Z ]*KEY \(`[^`]*`\).*/DROP KEY \1/')
    alter "$1" "${list[@]}"
}

# add_plain_keys TABLE, add_text_keys TABLE: those of the lines of standard input.
add_plain_keys()
{
    local -a list
    mapfile -t list < <(sed -n 's/^KEY/ADD &/p')
    alter "$1" "${list[@]}"
}

add_text_keys()
{
    local key
    while read -r key; do
        [[ $key != FULLTEXT* ]] || alter "$1" "ADD $key" </dev/null # one at a time
    done
}

# load TABLE COLUMNS: from standard input.
load()
{
    sql -e "SET foreign_key_checks = 0;
        LOAD DATA LOCAL INFILE '/dev/stdin' INTO TABLE $1 CHARACTER SET utf8mb4 $2"
}

seed_rows()
{
    local at='SET created_at = FROM_UNIXTIME(@at), updated_at = FROM_UNIXTIME(@at)' hash
    "$program" user add bench@example.org --password-stdin >/dev/null <<<"$password"
    hash=$(sql -e 'SELECT password_hash FROM users')
    awk -f "$here/seed.awk" -v what=users -v count="$users" -v hash="$hash" |
        load users "(id, email, password_hash, first_name, last_name, role, @at) $at"
    awk -f "$here/seed.awk" -v what=posts -v count="$posts" -v users="$users" |
        load posts "(id, author_id, title, content, published, @at) $at"
}

# An index over all rows is built in a fraction of the time that it takes to grow with them; one of
# full text after `reindex`, which changes users.
seed()
{
    local table
    local -A keys=()
    say "Making $users users and $posts posts, once"
    "$program" migrate >/dev/null
    for table in users posts; do
        keys[$table]=$(keys_of "$table")
        drop_keys "$table"
    done
    seed_rows
    say "Building indexes"
    for table in users posts; do
        add_plain_keys "$table" <<<"${keys[$table]}"
    done
    say "Making totals and search right"
    "$program" reindex
    for table in users posts; do
        add_text_keys "$table" <<<"${keys[$table]}"
    done
    check_seed
}

check_seed()
{
    local made
    made=$(sql -e 'SELECT (SELECT COUNT(*) FROM users), (SELECT COUNT(*) FROM posts)')
    [[ $made == "$((users + 1))"$'\t'"$posts" ]] || fail "rows are missing: $made"
}

# A copy of the kept data directory takes the place of the one that with-mariadb has made, whose
# password for us is a new one. Rows of an earlier schema are brought forward.
use_kept()
{
    local word=${DATABASE_URL#mysql://postern:} applied
    "$DATABASE_CONTROL" stop
    rm -rf "$data"
    cp -a --reflink=auto "$kept/." "$data"
    "$DATABASE_CONTROL" start
    sql -e "ALTER USER postern@localhost IDENTIFIED BY '${word%%@*}'"
    say "Bringing the schema up to date"
    applied=$("$program" migrate) || fail "remove $kept, whose schema is another"
    if [[ $applied ]]; then
        printf '%s\n' "$applied" >&2
        keep
    fi
}

keep()
{
    "$DATABASE_CONTROL" stop
    mkdir -p "$(dirname "$kept")"
    rm -rf "$kept.new" && cp -a --reflink=auto "$data" "$kept.new"
    rm -rf "$kept" && mv -T "$kept.new" "$kept"
    "$DATABASE_CONTROL" start
}

make_rows()
{
    kept=$PWD/bench-data/$seed_version-$users-$posts
    if [[ -d $kept ]]; then
        use_kept
    else
        seed
        keep
    fi
    # So that no round pays for what comes from the disk.
    sql -e 'SELECT COUNT(content) FROM posts; SELECT COUNT(password_hash) FROM users' >/dev/null
}
