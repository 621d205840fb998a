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

# Each second one with a wrong password.
write_login_storm()
{
    write_logins
    sed "s,$password,is not the password," "$folder/login.requests" |
        paste -d '\n' "$folder/login.requests" - >"$folder/storm.requests"
    mv "$folder/storm.requests" "$folder/login.requests"
}

# Who storms is told to end; wrk takes until then to say how it went.
start_storm()
{
    local pause=2 # until it blows
    case $1 in
    slow)
        pause=6 # until all have begun, for whom a page was made
        start storm "$slow" "$port" "$slow_connections" "${token[0]}"
        ;;
    *)
        start storm wrk -t1 "-c$storm_connections" -d600s --timeout 60s -s "$here/requests.lua" \
            "http://127.0.0.1:$port" -- "$folder/$1.requests"
        ;;
    esac
    sleep "$pause"
}

end_storm()
{
    local signal=INT # wrk's own
    [[ $1 != slow ]] || signal=TERM
    kill -s "$signal" "${part[storm]}"
    wait "${part[storm]}" || true
    unset 'part[storm]'
    sed -n "s/^figures /storm $1 /p; /^slow /p" "$folder/storm.log"
}

# Reads of posts by a few clients, in turn alone and while others storm.
measure_storms()
{
    local round who
    drive post 4 1 >/dev/null
    for ((round = 1; round <= rounds; round++)); do
        say "Storms, round $round of $rounds"
        printf 'alone %s\n' "$(measure "$round" post 4)"
        for who in login worst slow; do
            start_storm "$who"
            printf '%s %s\n' "$who" "$(measure "$round" post 4)"
            end_storm "$who"
        done
    done
}

bench_storms()
{
    write_login_storm
    write_worst
    measure_storms >"$folder/storms"
    printf '\nReads while others storm\n%s; storms: %d, slow clients: %d\n\n' "$setting" \
        "$storm_connections" "$slow_connections"
    printf 'post by id, 4 connections        req/s    p50 ms    p99 ms   p99 / alone\n'
    awk -v LIMIT=3 -f "$here/median.awk" -f "$here/storm.awk" "$folder/storms"
}
