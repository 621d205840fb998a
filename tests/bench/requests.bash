# shellcheck shell=bash disable=SC2154 # what is not set here, `run` has set
#
# requests.bash -- for `run`: single requests beside the ceilings, and reads while others storm.

readonly targets=(fixed select profile post posts users)

# What requests.lua reads: method, path, token, body.
write_requests()
{
    sed 's,.*,GET\t/api/auth/profile\t&\t-,' "$folder/tokens" >"$folder/profile.requests"
    sed 's,.*,GET\t/api/users\t&\t-,' "$folder/tokens" >"$folder/users.requests"
    sed 's,.*,GET\t/select/&\t-\t-,' "$folder/ids" >"$folder/select.requests"
    sed 's,.*,GET\t/fixed/&\t-\t-,' "$folder/ids" >"$folder/fixed.requests"
    printf 'GET\t/api/posts\t-\t-\n' >"$folder/posts.requests"
    write_logins
}

write_logins()
{
    sed "s,.*,POST\t/api/auth/login\t-\t{\"email\":\"&\"\,\"password\":\"$password\"}," \
        "$folder/emails" >"$folder/login.requests"
}

measure_all()
{
    local round target
    for target in "${targets[@]}"; do
        drive "$target" "$connections" 1 >/dev/null # warm-up: connections, statements
    done
    for ((round = 1; round <= rounds; round++)); do
        say "Round $round of $rounds"
        for target in "${targets[@]}"; do
            measure "$round" "$target" "$connections"
        done
        measure "$round" login "$login_connections"
    done
}

bench_requests()
{
    write_requests
    measure_all >"$folder/figures"
    printf '\nSingle requests\n%s\n\n' "$setting"
    table
}

table()
{
    local target
    for target in "${targets[@]}" login; do
        printf 'memory %s %d\n' "$target" "$(memory_of "$target")"
    done | cat - "$folder/figures" | awk -v ticks="$ticks" -f "$here/table.awk"
}

# --- while others storm

# Those that cost most, or did once: see lists.bash.
write_worst()
{
    local path
    for path in 'posts?q=everywhere' 'posts?q=tenth&sort=title' 'posts?q=pref*' \
        'posts?q=everywhere%20anywhere%20somewhere%20tenth%20hundredth%20solitary' \
        'posts?q=northern%20southern' 'posts?page=1000' 'posts?page=9000&sort=title' \
        'posts?created_after=2023-11-15T00:00:00Z&sort=title' 'users?q=ada' 'users?q=ad' \
        'users?page=4000&sort=email' 'users?created_after=2023-11-15T00:00:00Z&sort=email'; do
        printf 'GET\t/api/%s\t%s\t-\n' "$path" "${token[0]}"
    done >"$folder/worst.requests"
}

# storm NAME CONNECTIONS: reads of posts by a few clients while requests of NAME come.
storm()
{
    say "Reads while others storm: $1"
    wrk -t1 "-c$2" "-d$((seconds_each + 4))s" --timeout 60s -s "$here/requests.lua" \
        "http://127.0.0.1:$port" -- "$folder/$1.requests" >"$folder/storm-$1.log" &
    part[storm]=$!
    sleep 1
    measure "$1" post 4
    wait "${part[storm]}"
    unset 'part[storm]'
}

bench_storm()
{
    write_logins
    write_worst
    {
        measure alone post 4
        storm login "$login_connections"
        storm worst "$worst_connections"
    } >"$folder/storm"
    printf '\nReads while others storm\n%s\n\n' "$setting"
    printf 'post by id, 4 connections        req/s    p50 ms    p99 ms   p99 / alone\n'
    storm_table
}

storm_table()
{
    local name
    for name in login worst; do
        printf 'storm %s %s\n' "$name" "$(sed -n 's/^figures //p' "$folder/storm-$name.log")"
    done | cat - "$folder/storm" | awk -f "$here/storm.awk"
}
