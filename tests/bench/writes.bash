# shellcheck shell=bash disable=SC2154 # what is not set here, `run` has set
#
# writes.bash -- for `run`: writing a post, beside two peers (peer.c) that do nothing else.
#
#   postern    POST /api/posts
#   peer       the same columns and indexes in a table of its own; no search, no totals
#   fulltext   the same with a full-text index on title and content
#
# Each is asked by many authors, and by one author on eight connections.

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
