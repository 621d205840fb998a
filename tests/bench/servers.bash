# shellcheck shell=bash disable=SC2154 # what is not set here, `run` has set
#
# servers.bash -- for `run`: the programs that it starts, what they cost, and who drives them.

declare -A part=() # name -> process id of a program that was started

# --- the programs

# start NAME COMMAND...: it is told to end when we do, even by SIGKILL.
start()
{
    local name=$1
    shift
    setpriv --pdeathsig=TERM -- "$@" >"$folder/$name.log" 2>&1 </dev/null &
    part[$name]=$!
}

# In this order, so that none misses what it rests on.
stop()
{
    local status=$? name
    set +e
    trap '' INT TERM HUP
    for name in storm nginx postern fixed select peer fulltext; do
        [[ -v part[$name] ]] || continue
        kill -TERM "${part[$name]}" 2>/dev/null
        wait "${part[$name]}" 2>/dev/null
    done
    exit "$status"
}

# until_true WHAT COMMAND...
until_true()
{
    local deadline=$((SECONDS + 20)) what=$1 name
    shift
    until "$@" 2>/dev/null; do
        ((SECONDS < deadline)) || { tail -n 5 "$folder"/*.log >&2; fail "$what"; }
        sleep 0.05
    done
}

start_pools()
{
    export ENV=development LIMITS=off LOGIN_LIMIT=off LISTEN=$folder/fast.sock HASH_LISTEN=$folder/hash.sock
    # Tokens must last to the end of the last round.
    WORKERS=$workers HASH_WORKERS=$hash_workers ACCESS_TTL_S=86400 start postern "$program" serve
    start fixed "$ceiling" "$folder/fixed.sock" "$workers"
    CEILING_PASSWORD=$database_password start select "$ceiling" "$folder/select.sock" "$workers" \
        "$database_socket"
    until_true "The workers do not come up." test -S "$folder/fast.sock" -a \
        -S "$folder/hash.sock" -a -S "$folder/fixed.sock" -a -S "$folder/select.sock"
}

free_port()
{
    local try
    for ((try = 0; try < 50; try++)); do
        port=$((20000 + RANDOM % 10000))
        ! (exec {web}<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || continue
        return
    done
    fail "no free port"
}

# The others get what the program gets of a request, and less of nginx's work on it.
write_nginx()
{
    local name user=''
    [[ $EUID -ne 0 ]] || user=$(id -un) # the sockets are ours alone
    free_port
    POSTERN_CONFIG='' RUN_DIR=$folder NGINX_LISTEN=127.0.0.1:$port NGINX_USER=$user \
        LOGIN_LIMIT=off "$top/nginx/render" "$folder/nginx"
    for name in fixed select peer fulltext; do
        printf 'location /%s/ {\n    include %s/nginx/fastcgi.conf;\n    fastcgi_pass unix:%s;\n}\n' \
            "$name" "$folder" "$folder/$name.sock"
    done >"$folder/nginx/others.conf"
    sed -i "s,include .*/server.conf;,&\n        include $folder/nginx/others.conf;," \
        "$folder/nginx/site.conf"
}

is_ready()
{
    local line=''
    exec {web}<>"/dev/tcp/127.0.0.1/$port" || return
    printf 'GET /api/ready HTTP/1.0\r\nHost: localhost\r\n\r\n' >&"$web"
    read -r -t 5 line <&"$web" || true
    exec {web}>&-
    [[ $line == *" 200 "* ]]
}

start_all()
{
    start_pools
    write_nginx
    start nginx nginx -e "$folder/nginx-error.log" -c "$folder/nginx/nginx.conf"
    until_true "nginx does not answer." is_ready
    children_of "${part[nginx]}"
    nginx_workers=("${children[@]}")
}

# --- measuring

# children_of PID: into `children`, in the order in which they were started.
children_of()
{
    read -ra children <"/proc/$1/task/$1/children" || true # no newline at its end
    ((${#children[@]})) || fail "$1 has no children"
}

# Who answers a target: the first children are the fast pool, the last the hashing one.
workers_of()
{
    case $1 in
    fixed | select | peer | fulltext) children_of "${part[$1]}" ;;
    *) children_of "${part[postern]}" ;;
    esac
    case $1 in
    login) printf '%s\n' "${children[@]:workers}" ;;
    *) printf '%s\n' "${children[@]:0:workers}" ;;
    esac
}

# cpu_ticks PID...: user and system time.
cpu_ticks()
{
    local pid sum=0 line
    local -a fields
    for pid in "$@"; do
        line=$(<"/proc/$pid/stat")
        read -ra fields <<<"${line##*) }" # behind the name: state, parent, ...
        sum=$((sum + fields[11] + fields[12]))
    done
    printf '%s\n' "$sum"
}

# KiB of memory, what is shared counted in parts.
memory_of()
{
    local -a list
    mapfile -t list < <(workers_of "$1")
    list=("${list[@]/#//proc/}")
    awk '/^Pss:/ { sum += $2 } END { print sum }' "${list[@]/%//smaps_rollup}"
}

# drive TARGET CONNECTIONS SECONDS [REQUESTS [PAUSE]]: print requests, microseconds, p50, p99, failures,
# longest.
# Other requests than those of the target's name are those of the file REQUESTS.
drive()
{
    local line
    line=$(wrk -t1 "-c$2" "-d$3s" --timeout 30s -s "$here/requests.lua" "http://127.0.0.1:$port" \
        -- "$folder/${4-$1}.requests" ${5+"$5"} | sed -n 's/^figures //p')
    [[ $line ]] || fail "wrk has no figures for $1"
    printf '%s\n' "$line"
}

# measure ROUND TARGET CONNECTIONS [REQUESTS]: one line of figures, see table.awk.
measure()
{
    local figures
    local -a list before after
    mapfile -t list < <(workers_of "$2")
    before=("$(cpu_ticks "${list[@]}")" "$(cpu_ticks "$database_pid")" "$(cpu_ticks "${nginx_workers[@]}")")
    figures=$(drive "$2" "$3" "$seconds_each" "${4-$2}")
    after=("$(cpu_ticks "${list[@]}")" "$(cpu_ticks "$database_pid")" "$(cpu_ticks "${nginx_workers[@]}")")
    printf '%s %s %s %d %d %d\n' "$1" "$2" "$figures" $((after[0] - before[0])) \
        $((after[1] - before[1])) $((after[2] - before[2]))
}

# --- who asks

# log_in EMAIL: print a token.
log_in()
{
    local body line=''
    body=$(printf '{"email":"%s","password":"%s"}' "$1" "$password")
    exec {web}<>"/dev/tcp/127.0.0.1/$port"
    printf 'POST /api/auth/login HTTP/1.0\r\nHost: localhost\r\nContent-Type: application/json\r\n%s\r\n\r\n%s' \
        "Content-Length: ${#body}" "$body" >&"$web"
    line=$(cat <&"$web")
    exec {web}>&-
    [[ $line =~ \"access_token\":\"([^\"]+)\" ]] || fail "no token: $line"
    printf '%s\n' "${BASH_REMATCH[1]}"
}

# Tokens of some users, each in a line of its own.
log_in_some()
{
    local email
    sql -e "SELECT email FROM users $some $tokens" >"$folder/emails"
    while read -r email; do
        log_in "$email"
    done <"$folder/emails" >"$folder/tokens"
    # shellcheck disable=SC2034
    mapfile -t token <"$folder/tokens"
    sql -e "SELECT id FROM posts WHERE published = 1 $some $ids" >"$folder/ids"
    sed 's,.*,GET\t/api/posts/&\t-\t-,' "$folder/ids" >"$folder/post.requests"
}
