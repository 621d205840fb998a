# shellcheck shell=bash disable=SC2154 # what is not set here, `run` has set
#
# lists.bash -- for `run`: what lists and searches cost, in ratio to a post by id.
#
# One client asks for a list and for a post by id in turn, through nginx, on one connection; the
# ratio is that of the two, so what else the machine does touches both (row.awk). A row is asked for
# `row_limit_s` seconds, once at least and `row_requests` times at most; posts `base_requests` times
# at least.

readonly row_limit_s=1.2 row_requests=150 base_requests=20 request_limit_s=40
readonly reach=20000 # PAGE_REACH by default, in rows
readonly page_limit=20 # by default
readonly cjk=%E6%9D%B1%E4%BA%AC # two letters that seed.awk has put into 5 % of the posts

# --- asking

# one NAME TOKEN PATH: what curl reads of one request.
one()
{
    printf 'next\nsilent\ngloboff\nmax-time = %d\noutput = /dev/null\n' "$request_limit_s"
    printf 'write-out = "%s %%{http_code} %%{time_total} %%{size_download}\\n"\n' "$1"
    [[ $2 == - ]] || printf 'header = "Authorization: Bearer %s"\n' "$2"
    printf 'url = "http://127.0.0.1:%d/api/%s"\n' "$port" "$3"
}

# some_posts COUNT: what curl reads of them.
some_posts()
{
    local i
    for ((i = 0; i < $1; i++)); do
        one post - "posts/${post_ids[RANDOM % ${#post_ids[@]}]}"
    done
}

# ask COUNT TOKEN PATH: a line for each list and each post by id: which, status, seconds, bytes.
ask()
{
    local i
    (($1)) || return 0
    for ((i = 0; i < $1; i++)); do
        one list "$2" "$3"
        some_posts 1
    done | curl -q -K - || true # one that took too long has status 000
}

# how_many SECONDS: requests that fit into what is left for a row.
how_many()
{
    awk -v t="$1" -v limit="$row_limit_s" -v most="$row_requests" \
        'BEGIN { n = int(limit / (t + 0.0005)); print (n < 1 ? 0 : n > most ? most : n) }'
}

# Whether the program knows a parameter: a bad value of one that it does not know is no fault.
knows()
{
    local status
    status=$(one known "$1" "${2%%\?*}?$3=x" | curl -q -K - | cut -d ' ' -f 2)
    [[ $status == 400 ]]
}

# row NAME TOKEN PATH
row()
{
    local name=$1 first took_s parameter
    for parameter in created_after total; do
        if [[ $3 == *[?\&]$parameter=* ]] && ! knows "$2" "$3" "$parameter"; then
            printf '%d\t%s\t-\t0\t0\t0\t0\n' "$posts" "$name" # it would be another list
            return
        fi
    done
    first=$(some_posts "$base_requests" | curl -q -K - && ask 1 "$2" "$3")
    took_s=$(awk '$1 == "list" { print $3 }' <<<"$first")
    { printf '%s\n' "$first" && ask "$(how_many "$took_s")" "$2" "$3"; } |
        awk -v size="$posts" -v name="$name" -f "$here/median.awk" -f "$here/row.awk"
}

# --- what is asked for

# fetch TOKEN PATH: print the body.
fetch()
{
    local -a header=()
    [[ $1 == - ]] || header=(-H "Authorization: Bearer $1")
    curl -qsg --max-time "$request_limit_s" "${header[@]}" "http://127.0.0.1:$port/api/$2"
}

# cursor_of TOKEN PATH: the next_cursor of that page; nothing if it has none.
cursor_of()
{
    local body
    body=$(fetch "$1" "$2") || true
    [[ $body =~ \"next_cursor\":\"([^\"]+)\" ]] || return 0
    printf '%s\n' "${BASH_REMATCH[1]}"
}

# far_cursor TOKEN PATH: that of the list's last page, or of where a minute of walking leads to.
far_cursor()
{
    rm -f "$folder/cursor"
    wrk -t1 -c1 -d60s --timeout 30s -s "$here/walk.lua" "http://127.0.0.1:$port" -- "/api/$2" "$1" \
        "$folder/cursor" >"$folder/walk.log"
    [[ ! -f $folder/cursor ]] || cat "$folder/cursor"
}

# after NAME TOKEN PATH CURSOR: PATH has a query.
after()
{
    if [[ $4 ]]; then
        row "$1" "$2" "$3&cursor=$4"
    else
        printf '%d\t%s\t-\t0\t0\t0\t0\n' "$posts" "$1"
    fi
}

# deepest ROWS: the last page within PAGE_REACH of a list of about so many.
deepest()
{
    local rows=$(($1 < reach ? $1 : reach))
    printf '%d\n' $((rows / page_limit))
}

# time_of PERMILLE: when so many of a thousand rows were made, see seed.awk.
time_of()
{
    date -u -d "@$((1700000000 + 60000 * $1))" +%FT%TZ
}

choose()
{
    mapfile -t post_ids <"$folder/ids"
    prolific=$(sql -e 'SELECT id FROM users ORDER BY id LIMIT 1')
    plain=$(sql -e 'SELECT author_id FROM posts ORDER BY id DESC LIMIT 10' | grep -v -m 1 "$prolific")
    author_token=$(log_in "$(sql -e "SELECT email FROM users WHERE id = '$prolific'")")
    caller=${token[0]}
    early=$(time_of 100) late=$(time_of 999)
    deep=$(deepest $((posts * 9 / 10))) author_deep=$(deepest $((posts * 22 / 100)))
    users_deep=$(deepest "$users")
}

# --- the lists

time_posts()
{
    row 'post by id' - "posts/${post_ids[0]}"
    printf '%d\tPosts\n' "$posts"
    row 'first page' - posts
    row '100 rows' - 'posts?limit=100'
    row 'without total' - 'posts?total=false'
    row 'deepest page' - "posts?page=$deep"
    after 'by cursor from there' - 'posts?limit=20' "$(cursor_of - "posts?page=$((deep - 1))&limit=20")"
    after 'by cursor at the far end' - 'posts?limit=20' "$(far_cursor - 'posts?limit=100')"
    row 'oldest first' - 'posts?sort=created_at'
    row 'by title' - 'posts?sort=title'
    row 'by title, deepest page' - "posts?sort=title&page=$deep"
    after 'by title, by cursor from there' - 'posts?sort=title' \
        "$(cursor_of - "posts?sort=title&page=$((deep - 1))")"
    row 'newest 90 %' - "posts?created_after=$early"
    row 'newest 90 %, by title' - "posts?created_after=$early&sort=title"
    row 'newest 0.1 %' - "posts?created_after=$late"
    row 'newest 0.1 %, by title' - "posts?created_after=$late&sort=title"
    row 'oldest 10 %' - "posts?created_before=$early&created_after=2001-01-01T00:00:00Z"
}

time_authors()
{
    printf '%d\tPosts of an author who wrote 25 %%\n' "$posts"
    row 'first page' - "posts?author_id=$prolific"
    row 'deepest page' - "posts?author_id=$prolific&page=$author_deep"
    row 'by title' - "posts?author_id=$prolific&sort=title"
    row 'by title, deepest page' - "posts?author_id=$prolific&sort=title&page=$author_deep"
    row 'newest 90 %' - "posts?author_id=$prolific&created_after=$early"
    row 'newest 0.1 %, by title' - "posts?author_id=$prolific&created_after=$late&sort=title"
    row 'own: drafts and published' "$author_token" "users/$prolific/posts"
    row 'own: deepest page' "$author_token" "users/$prolific/posts?page=$author_deep"
    row 'own: by title' "$author_token" "users/$prolific/posts?sort=title"
    row 'own drafts' "$author_token" 'posts?published=false'
    row 'own drafts, by title' "$author_token" 'posts?published=false&sort=title'
    row 'of an author of few posts' - "posts?author_id=$plain"
}

time_users()
{
    printf '%d\tUsers\n' "$posts"
    row 'first page' "$caller" users
    row 'without total' "$caller" 'users?total=false'
    row 'deepest page' "$caller" "users?page=$users_deep"
    after 'by cursor from there' "$caller" 'users?limit=20' \
        "$(cursor_of "$caller" "users?page=$((users_deep - 1))&limit=20")"
    row 'by e-mail' "$caller" 'users?sort=email'
    row 'by e-mail, deepest page' "$caller" "users?sort=email&page=$users_deep"
    row 'of role user' "$caller" 'users?role=user'
    row 'of role user, deepest page' "$caller" "users?role=user&page=$users_deep"
    row 'of role admin (0.1 %)' "$caller" 'users?role=admin'
    row 'of role admin, by e-mail' "$caller" 'users?role=admin&sort=email'
    row 'newest 90 %' "$caller" "users?created_after=$early"
    row 'newest 0.1 %, by e-mail' "$caller" "users?created_after=$late&sort=email"
}

time_search_of_posts()
{
    printf '%d\tPosts by words: one that is\n' "$posts"
    row 'in nearly all' - 'posts?q=everywhere'
    row 'in 10 %' - 'posts?q=tenth'
    row 'in 1 %' - 'posts?q=hundredth'
    row 'in 0.1 %' - 'posts?q=thousandth'
    row 'in two posts' - 'posts?q=solitary'
    row 'in none' - 'posts?q=nowheretobefound'
    row 'in nearly all, next page' - 'posts?q=everywhere&page=2'
    after 'in nearly all, by cursor' - 'posts?q=everywhere' "$(cursor_of - 'posts?q=everywhere')"
    row 'in nearly all, by title' - 'posts?q=everywhere&sort=title'
    row 'in 0.1 %, by title' - 'posts?q=thousandth&sort=title'
    row 'in nearly all, author of 25 %' - "posts?q=everywhere&author_id=$prolific"
    row 'in nearly all, author of few' - "posts?q=everywhere&author_id=$plain"
    row 'in 1 %, author of few' - "posts?q=hundredth&author_id=$plain"
    row 'in nearly all, own drafts' "$author_token" 'posts?q=everywhere&published=false'
    row 'in nearly all, newest 0.1 %' - "posts?q=everywhere&created_after=$late"
    row 'in nearly all, oldest 10 %' - \
        "posts?q=everywhere&created_before=$early&created_after=2001-01-01T00:00:00Z"
    printf '%d\tPosts by words: more\n' "$posts"
    row 'two of 1 % that never meet' - 'posts?q=northern%20southern'
    row 'in nearly all, and in two posts' - 'posts?q=everywhere%20solitary'
    row 'a prefix of 10,000 words' - 'posts?q=pref*'
    row 'the same, and in two posts' - 'posts?q=pref*%20solitary'
    row 'two Chinese letters of a run' - "posts?q=$cjk"
    row 'six words' - \
        'posts?q=everywhere%20anywhere%20somewhere%20tenth%20hundredth%20solitary'
}

time_search_of_users()
{
    printf '%d\tUsers by a part of e-mail or name\n' "$posts"
    row 'in 2.5 %' "$caller" 'users?q=ada'
    row 'in 2.5 %, by e-mail' "$caller" 'users?q=ada&sort=email'
    row 'in 2.5 %, of role admin' "$caller" 'users?q=ada&role=admin'
    row 'in some nine of a million' "$caller" 'users?q=grace.hopper77'
    row 'in all' "$caller" 'users?q=example.org'
    row 'in none' "$caller" 'users?q=zzq'
    row 'two characters' "$caller" 'users?q=ad'
    row 'two characters, in none' "$caller" 'users?q=zq'
}

bench_lists()
{
    local group
    choose
    for group in posts authors users search_of_posts search_of_users; do
        say "Lists with $posts posts: ${group//_/ }"
        "time_$group" >>"$results/lists"
    done
}
