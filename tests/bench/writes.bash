# shellcheck shell=bash disable=SC2154 # what is not set here, `run` has set
#
# writes.bash -- for `run`: writing a post, beside two peers (peer.c) that do nothing else.
#
#   postern    POST /api/posts
#   peer       the same columns and indexes in a table of its own; no search, no totals
#   fulltext   the same with a full-text index on title and content
#
# Each is asked by many authors, and by one author on eight connections. And at a pace: what is
# written is swept into totals and search index meanwhile, and no request should wait for that.

readonly writers=(postern peer fulltext) author_connections=8 bodies=1000

# make_table NAME: as full as posts.
make_table()
{
    sql -e "CREATE TABLE $1 LIKE posts"
    drop_keys "$1"
    sql -e "INSERT INTO $1 (id, author_id, title, content, published, created_at, updated_at)
        SELECT id, author_id, title, content, published, created_at, updated_at FROM posts"
    keys_of posts | add_plain_keys "$1"
    alter "$1" \
        "ADD CONSTRAINT fk_$1_author FOREIGN KEY (author_id) REFERENCES users (id) ON DELETE CASCADE"
}

start_peers()
{
    local name
    say "Making the tables of the peers"
    make_table bench_posts
    make_table bench_posts_fulltext
    alter bench_posts_fulltext "ADD FULLTEXT KEY ft_words (title, content)"
    export PEER_PASSWORD=$database_password
    start peer "$peer" "$folder/peer.sock" "$workers" "$database_socket" bench_posts
    start fulltext "$peer" "$folder/fulltext.sock" "$workers" "$database_socket" bench_posts_fulltext
    for name in peer fulltext; do
        until_true "The workers do not come up." test -S "$folder/$name.sock"
    done
}

# The texts of posts that are there, so that they have the words that posts have.
write_posts()
{
    local name path i=0 body
    local -A paths=([postern]=/api/posts [peer]=/peer/posts [fulltext]=/fulltext/posts)
    sql -e "SELECT CONCAT('{\"title\":\"', title, '\",\"content\":\"', content, '\",\"published\":true}')
        FROM posts $some $bodies" >"$folder/bodies"
    while read -r body; do
        printf '%s\t%s\n' "${token[i++ % ${#token[@]}]}" "$body"
    done <"$folder/bodies" >"$folder/posts"
    for name in "${writers[@]}"; do
        path=${paths[$name]}
        sed "s,^,POST\t$path\t," "$folder/posts" >"$folder/$name-all.requests"
        sed "s,^,POST\t$path\t${token[0]}\t," "$folder/bodies" >"$folder/$name-one.requests"
    done
}

measure_writes()
{
    local round name
    for name in "${writers[@]}"; do
        drive "$name" "$connections" 1 "$name-all" >/dev/null
    done
    for ((round = 1; round <= rounds; round++)); do
        say "Writes, round $round of $rounds"
        for name in "${writers[@]}"; do
            printf 'all '
            measure "$round" "$name" "$connections" "$name-all"
        done
        for name in "${writers[@]}"; do
            printf 'one '
            measure "$round" "$name" "$author_connections" "$name-one"
        done
    done
}

bench_writes()
{
    start_peers
    write_posts
    measure_writes >"$folder/writes"
    printf '\nWriting a post\n%s\n\n' "$setting"
    awk -v ticks="$ticks" -v connections="$connections" -v authors="$tokens" -f "$here/median.awk" \
        -f "$here/writes.awk" "$folder/writes"
}

# --- at a pace

# The longest that a statement waited for a row that another had locked, in ms, since the start.
longest_lock()
{
    sql -e "SELECT variable_value FROM information_schema.global_status
        WHERE variable_name = 'Innodb_row_lock_time_max'"
}

# at_pace NAME REQUESTS: a line for a round.
at_pace()
{
    local -a f
    read -ra f < <(drive "$1" "$pace_connections" "$seconds_each" "$2" \
        $((pace_connections * 1000 / pace - answer_ms)))
    awk -v name="$1" -v n="${f[0]}" -v us="${f[1]}" -v p50="${f[2]}" -v p99="${f[3]}" \
        -v failures="${f[4]}" -v most="${f[5]}" 'BEGIN { printf "%-10s%8.0f%8.1f%8.1f%9.1f%10d\n",
            name, n / us * 1000000, p50 / 1000, p99 / 1000, most / 1000, failures }'
}

bench_pace()
{
    local round
    write_posts
    printf '\nOne author who writes %d posts a second, in ms\n%s\n\n' "$pace" "$setting"
    printf '%-10s%8s%8s%8s%9s%10s\n' '' '/s' p50 p99 longest failures
    for ((round = 1; round <= rounds; round++)); do
        at_pace post post
        at_pace write postern-one
    done
    printf '\nlongest wait for a lock: %d ms; rows that wait to be swept: %d\n' "$(longest_lock)" \
        "$(sql -e 'SELECT COUNT(*) FROM list_journal')"
}
