#!/usr/bin/env bash
#
# autogen.sh -- from a fresh checkout to a running API, on Debian 12 and 13 and their relatives.
#
#   ./autogen.sh          write ./configure
#   ./autogen.sh run      build, and serve the API on http://127.0.0.1:8080 until ctrl-C
#   ./autogen.sh check    build twice, with gcc and with clang's sanitizers, and run all tests
#
# run and check install the Debian packages that are missing, when started by root; meanwhile
# /usr/sbin/policy-rc.d forbids services to start. The database, its socket, the keys and the logs are
# below build/run.
#
# For run, in the environment:
#   PORT=8081          where nginx listens, on 127.0.0.1; 8080 if not set
#   LIMITS=off         no limits on who does how much, in the program and in nginx, for load tests;
#                      LOGIN_LIMIT=off is the same
#   CORS_ORIGINS=…     origins that may use the API from a browser; * if not set
#   CORS_HEADERS, WORKERS, HASH_WORKERS, MAX_BODY    as in the configuration file
#
# Where other users cannot enter the checkout (a clone below /root), or its path is too long or too
# odd for a socket, build/run leads to a folder below /var/tmp.

# shellcheck disable=SC2317 # functions that run in a trap or by name look unreachable to it
# shellcheck disable=SC2015,SC2046 # our files have no blanks in their names, and `&& ||` is meant so

set -euo pipefail
umask 022
export LC_ALL=C # [a-z] has no accents, and logs read the same everywhere
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
cd "$(dirname "$(readlink -f "$0")")"

readonly run_packages=(build-essential autoconf automake 'pkg-config|pkgconf'
    libmariadb-dev libcjson-dev libutf8proc-dev libssl-dev libargon2-dev libcrypt-dev
    libseccomp-dev mariadb-server nginx util-linux)
readonly check_packages=(check libcurl4-openssl-dev clang 'libclang-rt-dev|libclang-rt-14-dev'
    spawn-fcgi multiwatch systemd curl openssl man-db groff-base apache2-bin libapache2-mod-fcgid
    apache2-suexec-custom lighttpd lighttpd-mod-deflate patchelf 'clang-format|clang-format-14' msmtp
    python3-aiosmtpd certbot caddy iproute2)

readonly plain='^/[A-Za-z0-9._+/-]+$' # no path that needs care in some file's syntax
readonly run_path_max=80              # a socket's path has 107 bytes
readonly jobs=2      # to build
readonly test_jobs=3 # each test has servers and folders of its own, and waits half of its time

readonly origin=$PWD # the checkout
top=$origin     # where we work on it; see plain_checkout
run=            # where a run keeps everything
run_lock=0      # descriptor; standard input stands in for it where there is no run
job=            # process group of what we wait for, if anything
policy_is_ours= # services are forbidden to start just now
stop_is_fine=   # from the moment that all is up, a signal is the usual way to end
declare -A part=() # name -> process id, which is its process group too

say()
{
    printf '== %s\n' "$*"
}

fail()
{
    printf 'autogen.sh: %s\n' "$*" >&2
    exit 1
}

is_root()
{
    [[ $EUID -eq 0 ]]
}

# Run a command in a process group of its own and wait for it: so a signal reaches us at once, and
# `leave` can pass it on to all that the command started.
run_job()
{
    local status=0
    set -m
    "$@" {run_lock}<&- </dev/null &
    job=$!
    set +m
    wait "$job" || status=$?
    job=
    return "$status"
}

# --- leaving, whatever the way

leave()
{
    local status=$?
    set +e
    trap '' INT TERM HUP
    end_job
    stop_parts
    [[ -z $policy_is_ours ]] || allow_services
    exit "$status"
}

end_job()
{
    [[ -n $job ]] || return 0
    if [[ -n $policy_is_ours ]]; then
        say "Stopping as soon as the packages under way are whole"
        wait "$job" || true
    else
        end_group "$job" TERM 10
    fi
    job=
}

catch_signals()
{
    trap leave EXIT
    trap '[[ -n $stop_is_fine ]] || exit 129; exit 0' HUP
    trap '[[ -n $stop_is_fine ]] || exit 130; exit 0' INT
    trap '[[ -n $stop_is_fine ]] || exit 143; exit 0' TERM
}

# --- Debian packages

# Print what is missing of the arguments, each of which may be `this|or-that`.
missing_packages()
{
    local entry name
    local -A installed=()
    while read -r name entry; do
        [[ $entry != installed ]] || installed[$name]=1
    done < <(dpkg-query -W -f '${Package} ${db:Status-Status}\n' 2>/dev/null)
    for entry in "$@"; do
        for name in ${entry//|/ }; do
            [[ ! -v installed[$name] ]] || continue 2
        done
        printf '%s\n' "${entry%%|*}"
    done
}

need_packages()
{
    local missing
    if ! command -v dpkg-query >/dev/null; then
        say "This is no Debian, so it is up to you that these, or their like, are there: $*"
        return
    fi
    ! is_root || clear_policy
    mapfile -t missing < <(missing_packages "$@")
    [[ ${#missing[@]} -gt 0 ]] || return 0
    if ! is_root; then
        printf 'Debian packages are missing. As root:\n\n' >&2
        printf '    apt-get install --no-install-recommends %s\n\n' "${missing[*]}" >&2
        exit 1
    fi
    install_packages "${missing[@]}"
}

# Services are forbidden to start only while packages are unpacked and set up. The slow part, in
# which people press ctrl-C, is before that.
install_packages()
{
    local -a get=(apt-get -y -q -o DPkg::Lock::Timeout=600)
    local -a install=("${get[@]}" install --no-install-recommends)
    export DEBIAN_FRONTEND=noninteractive
    say "Installing Debian packages: $*"
    run_job "${get[@]}" update || fail "apt-get update failed."
    run_job "${install[@]}" --download-only "$@" || fail "apt-get could not fetch the packages."
    lock_packages
    forbid_services
    run_job "${install[@]}" "$@" || fail "apt-get install failed."
    allow_services
    exec {packages_lock}<&-
}

# Another checkout may be at the same point.
lock_packages()
{
    exec {packages_lock}</var/lib/dpkg
    run_job flock --wait 600 "$packages_lock" || fail "Another ./autogen.sh is installing packages."
}

# invoke-rc.d(8) asks this program before it starts a service; 101 is no.
readonly policy=/usr/sbin/policy-rc.d
readonly policy_kept=$policy.before-postern
readonly policy_mark='# Of autogen.sh, while it installs packages.'

forbid_services()
{
    policy_is_ours=1
    [[ ! -e $policy && ! -L $policy ]] || mv "$policy" "$policy_kept"
    printf '#!/bin/sh\n%s\nexit 101\n' "$policy_mark" >"$policy"
    chmod 755 "$policy"
}

allow_services()
{
    rm -f "$policy"
    [[ ! -e $policy_kept && ! -L $policy_kept ]] || mv "$policy_kept" "$policy"
    policy_is_ours=
}

# Ours stays behind when we are killed between the two.
clear_policy()
{
    grep -qsxF "$policy_mark" "$policy" || return 0
    lock_packages
    ! grep -qsxF "$policy_mark" "$policy" || allow_services
    exec {packages_lock}<&-
}

# --- building

# Print sources.am: which files make up what, by where they lie.
# shellcheck disable=SC2046 # no name has a blank
list_sources()
{
    printf '# Written by ./autogen.sh, which finds the files by pattern; not for editing.\n'
    list_files common_sources common/*/*.[ch]
    list_files program_sources fcgi-app/main.c fcgi-app/serve.c fcgi-app/cli/*.[ch]
    list_files app_sources $(printf '%s\n' fcgi-app/*.[ch] fcgi-app/*/*.[ch] |
        grep -vE '^fcgi-app/((main|serve|migrations|docs_assets|nginx_files)\.c$|cli/)')
    list_files migration_files sql/[0-9]*.sql
    list_files nginx_files nginx/*.in
    # The longest start first, so that none is left alone at the end.
    list_files test_programs $(printf '%s\n' tests/{e2e/,*/}check_*.c tests/fuzz/fuzz_*.c |
        awk '!seen[$0]++' | sed 's/\.c$//')
    list_files test_scripts $(printf '%s\n' tests/{e2e/,packaging/,,*/}*.test | awk '!seen[$0]++')
    list_files fuzz_files tests/fuzz/*.h tests/fuzz/seeds/*
    list_files example_files $(printf '%s\n' tests/example/* | grep -v '/check_')
    # Of tests/e2e, what has a header is for all; the rest are the tests of check_e2e.
    list_files test_sources $(printf '%s\n' tests/support/*.[ch] tests/e2e/*.h |
        sed '/e2e/{p;s/h$/c/;}' | grep -v '/check_')
    list_files e2e_sources $(comm -23 <(printf '%s\n' tests/e2e/*.c) \
        <(printf '%s\n' tests/e2e/*.h | sed 's/h$/c/') | grep -v '/check_[^e]')
    list_files fault_sources tests/faults/*.[ch]
    list_files counter_sources tests/coverage/*.c
}

# list_files VARIABLE FILE...
list_files()
{
    printf '\n%s =' "$1"
    printf ' \\\n\t%s' "${@:2}"
    printf '\n'
}

# Has no file come or gone since ./configure was written?
sources_are_listed()
{
    [[ -f sources.am && $(list_sources) == "$(<sources.am)" ]]
}

bootstrap()
{
    command -v autoreconf >/dev/null || fail "It takes the packages autoconf and automake."
    say "Writing ./configure"
    list_sources >sources.am
    ln -sfn fcgi-app/packaging/debian debian # where dpkg-buildpackage looks for it
    run_job autoreconf --install --warnings=all
}

# configure FOLDER [ARGUMENT...]
configure()
{
    local folder=$1
    shift
    mkdir -p "$folder"
    if [[ ! -x configure ]] || ! sources_are_listed; then
        bootstrap
    fi
    say "Configuring $folder"
    run_job in_folder "$folder" ../configure --quiet "$@" || fail "See $folder/config.log."
}

# Not `env --chdir`: configure must see the path in $PWD, which may lead through plain_checkout's
# link.
in_folder()
{
    cd "$1" && exec "${@:2}"
}

build()
{
    # A checkout that was moved has to be told where it is, and what was compiled names its sources by
    # where they were.
    if ! grep -qsxF "abs_top_builddir = $top/build" build/Makefile; then
        forget_objects
        configure build
    elif ! sources_are_listed; then
        configure build
    fi
    say "Building"
    make_in build -j"$jobs" || fail "It does not build."
}

forget_objects()
{
    [[ -d build ]] || return 0
    find build -path build/run -prune -o \( -name '*.o' -o -name '*.Po' \) -exec rm {} +
}

# make_in FOLDER [ARGUMENT...]. Left alone, make takes CURDIR without regard to plain_checkout's
# link, and automake puts it between quotes of the shell.
make_in()
{
    run_job make -C "$1" --no-print-directory CURDIR="$top/$1" "${@:2}"
}

# --- where a run keeps its things

# The folder below /var/tmp that build/run leads to, when build/ itself will not do.
outside_folder()
{
    local folder
    mkdir -p build
    if [[ -L build/run ]] && folder=$(readlink build/run) && belongs_here "$folder"; then
        outside=$folder
        return
    fi
    outside=$(mktemp -d /var/tmp/postern-XXXXXX)
    chmod 755 "$outside"
    if [[ -d build/run && ! -L build/run ]]; then
        cp -a build/run/. "$outside"
        rm -rf build/run
    fi
    ln -sfn "$origin" "$outside/checkout"
    ln -sfn "$outside" build/run
}

# /var/tmp is everybody's, so a folder counts only with the right owner; and when the checkout was
# copied, build/run with it, the folder stays with the original.
belongs_here()
{
    local owner
    [[ $1 == /var/tmp/postern-* && -d $1 && ! -L $1 ]] || return
    owner=$(stat -c %u "$1")
    [[ $owner == "$EUID" || $owner == "$(stat -c %u .)" ]] || return
    local before
    before=$(readlink "$1/checkout") || return
    if [[ $before != "$origin" ]]; then
        [[ $(readlink "$before/build/run") != "$1" ]] || return
        ln -sfn "$origin" "$1/checkout"
    fi
}

# Autoconf and make take no path with quotes or blanks, so such a checkout is worked on through a
# link that has neither.
plain_checkout()
{
    [[ ! $top =~ $plain ]] || return 0
    outside_folder
    top=$outside/checkout
    cd "$top"
}

# Can all that must reach it live in this folder? A clone below /root keeps other users out, and
# some file systems have no owners or no sockets.
is_suitable()
{
    local folder=$1 user status=0
    [[ $folder =~ $plain && ${#folder} -le $run_path_max ]] || return
    for user in "$database_user" "$worker_user"; do
        mkdir "$folder/probe" && chown "$user" "$folder/probe" 2>/dev/null &&
            as "$user" mkfifo "$folder/probe/pipe" 2>/dev/null || status=1
        rm -rf "$folder/probe"
    done
    return "$status"
}

run_folder()
{
    run=$top/build/run
    if [[ ! -L build/run ]]; then
        mkdir -p build/run
        chmod 755 build build/run
    fi
    if [[ -L build/run ]] || ! is_suitable "$run"; then
        outside_folder
        run=$outside
        is_suitable "$run" || fail "$run is no place for a database and sockets."
    fi
    make_folders
}

make_folders()
{
    is_root || [[ ! -d $run/mariadb || -O $run/mariadb ]] ||
        fail "The last run here was root's, and so is its data: use sudo, or remove build/."
    # Where others may write, root does not.
    mkdir -p "$run"/{bin,log,nginx,pid,secret}
    give "$run/mariadb" "$database_user"
    give "$run/socket" "$worker_user"
}

# give FOLDER OWNER: with all that is in it, should it have been another's before. Others enter for
# the sockets.
give()
{
    mkdir -p "$1"
    ! is_root || [[ $(stat -c %U "$1") == "$2" ]] || chown -R "$2" "$1"
    chmod 755 "$1"
}

# private_file FILE OWNER: standard input, for the eyes of OWNER.
private_file()
{
    (umask 077 && cat >"$1.new")
    ! is_root || chown "$2" "$1.new"
    mv "$1.new" "$1"
}

lock_run()
{
    mkdir -p build
    [[ -w build ]] || fail "build/ belongs to $(stat -c %U build); run as that user, or with sudo."
    # Held as long as we live, and closed in what may outlive us. The wait is for the last `sleep`
    # of a run that was killed.
    exec {run_lock}<build
    flock --wait 2 "$run_lock" || fail "./autogen.sh run is running in this checkout already."
}

# --- processes

# as USER COMMAND...
as()
{
    local user=$1
    shift
    if is_root; then
        setpriv --reuid="$user" --regid="$(id -g "$user")" --init-groups -- "$@"
    else
        "$@"
    fi
}

# start NAME USER COMMAND...: in the background, with a log and a process group of its own, so
# that ctrl-C at the terminal is ours alone. It is told to end when we do, even by SIGKILL.
start()
{
    local name=$1 user=$2
    local -a dress=(setpriv --pdeathsig=TERM)
    shift 2
    ! is_root || dress+=(--reuid="$user" --regid="$(id -g "$user")" --init-groups)
    fresh_log "$run/log/$name.log"
    set -m
    (cd "$run" && exec "${dress[@]}" -- "$@") \
        </dev/null >"$run/log/$name.log" 2>&1 {run_lock}<&- &
    set +m
    disown $! # bash must not report its end; we do
    part[$name]=$!
    printf '%s\n' $! >"$run/pid/$name"
}

# The log of the last run is kept.
fresh_log()
{
    [[ ! -e $1 ]] || mv "$1" "$1.1"
}

# Print the live processes of a group, with FOLDER only those that work in it or below.
group_members()
{
    local group=$1 folder=${2-} stat fields
    for stat in /proc/[0-9]*/stat; do
        { read -r fields <"$stat"; } 2>/dev/null || continue
        read -ra fields <<<"${fields##*) }" # behind the name: state, parent, group
        [[ ${fields[2]-} == "$group" && ${fields[0]} != [ZX] ]] || continue
        stat=${stat%/stat}
        [[ -z $folder || $(readlink "$stat/cwd")/ == "$folder"/* ]] || continue
        printf '%s\n' "${stat#/proc/}"
    done
}

# end_group GROUP SIGNAL SECONDS: its leader is asked, what is left then is killed.
end_group()
{
    local deadline=$((SECONDS + $3 + 1))
    kill "-$2" "$1" 2>/dev/null || kill "-$2" -- "-$1" 2>/dev/null || return 0
    while [[ -n $(group_members "$1") ]]; do
        if ((SECONDS >= deadline)); then
            kill -KILL -- "-$1" 2>/dev/null || true
        fi
        sleep 0.05
    done
}

# end_part NAME GROUP: requests under way are finished, the database writes down what it has.
end_part()
{
    case $1 in
    nginx) end_group "$2" QUIT 5 ;;
    mariadbd) end_group "$2" TERM 60 ;;
    *) end_group "$2" TERM 15 ;;
    esac
    rm -f "$run/pid/$1"
}

# In this order, so that none misses what it rests on; tail shows the last lines of the log.
readonly parts=(nginx postern mariadbd tail)

stop_parts()
{
    local name
    [[ ${#part[@]} -gt 0 ]] || return 0
    say "Stopping; the data stays in $origin/build/run"
    for name in "${parts[@]}"; do
        [[ ! -v part[$name] ]] || end_part "$name" "${part[$name]}"
    done
    part=()
}

# A run that was killed takes its parts along, but these need a while, or were stopped themselves.
stop_leftovers()
{
    local name group folder
    folder=$(readlink -f build/run) && [[ -d $folder/pid ]] || return 0
    run=$folder
    for name in "${parts[@]}"; do
        group=$(cat "$run/pid/$name" 2>/dev/null) || continue
        if [[ $group =~ ^[0-9]+$ && -n $(group_members "$group" "$run") ]]; then
            say "Stopping $name, left over from a run that was killed"
            end_part "$name" "$group"
        fi
        rm -f "$run/pid/$name"
    done
}

# until_true SECONDS WHAT COMMAND...: but no longer than all parts live.
until_true()
{
    local deadline=$((SECONDS + $1)) what=$2
    shift 2
    until "$@" >/dev/null 2>&1; do
        watch_parts
        ((SECONDS < deadline)) || fail "$what; see $run/log."
        sleep 0.05
    done
}

# Only as a whole is it of use, so if one ends, all stops. bash collects children as they end, so
# that no zombie looks alive here.
watch_parts()
{
    local name
    for name in "${!part[@]}"; do
        [[ ! -d /proc/${part[$name]} ]] || continue
        tail -n 10 "$run/log/$name.log" >&2
        [[ $name != nginx ]] || tail -n 3 "$run/nginx/nginx-error.log" >&2 || true
        fail "$name ended by itself, so all stops. Its log is $run/log/$name.log."
    done
}

# --- run

read_settings()
{
    port=${PORT:-8080}
    [[ $port =~ ^[1-9][0-9]{0,4}$ && $port -le 65535 ]] || fail "PORT is no port: '$port'."
    login_limit=${LOGIN_LIMIT:-on}
    [[ $login_limit =~ ^(on|off)$ ]] || fail "LOGIN_LIMIT is on or off, and not '$login_limit'."
    limits=${LIMITS:-on}
    [[ $limits =~ ^(on|guesses|off)$ ]] || fail "LIMITS is on, guesses or off, and not '$limits'."
    workers=${WORKERS:-$((4 * $(nproc) < 32 ? 4 * $(nproc) : 32))} # they mostly wait for the disk
    hash_workers=${HASH_WORKERS:-$(nproc)}                         # and these for the processor
    max_body=${MAX_BODY:-524288}
    cors_origins=${CORS_ORIGINS-*}
    cors_headers=${CORS_HEADERS-}
    # The environment beats the file, and this run must not reach another's database.
    unset ENV {,MIGRATE_}DATABASE_URL{,_FILE} JWT_{SECRET_KEY,PREVIOUS_KEYS}{,_FILE} LISTEN \
        HASH_LISTEN WORKERS HASH_WORKERS SOCKET_GROUP MAX_BODY BASE_PATH CORS_ORIGINS CORS_HEADERS \
        LOGIN_LIMIT LIMITS TRUSTED_PROXIES LOG_TO STATE_FILE DB_IDLE_S LISTEN_FDS LISTEN_PID
}

# A server as root would be a needless risk, and mariadbd refuses.
choose_users()
{
    database_user=$(id -u) worker_user=$database_user
    ! is_root || { database_user=mysql worker_user=www-data; }
}

connects()
{
    (exec {web}<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null
}

random_hex()
{
    head -c 32 /dev/urandom | od -An -v -tx1 | tr -d ' \n'
}

percent_encode()
{
    local rest=$1 char
    while [[ -n $rest ]]; do
        char=${rest:0:1} rest=${rest:1}
        [[ $char == [A-Za-z0-9._-] ]] || printf -v char '%%%02X' "'$char"
        printf '%s' "$char"
    done
}

# The password is in one file for each who reads it: us, a worker, mariadbd.
write_secrets()
{
    local password migrate_password
    local keep=$run/secret
    [[ -s $keep/jwt-key ]] || random_hex | private_file "$keep/jwt-key" "$worker_user"
    ! is_root || chown "$worker_user" "$keep/jwt-key" # a run before this one may not have been
    [[ -s $keep/database-password ]] || random_hex | private_file "$keep/database-password" "$EUID"
    [[ -s $keep/migrate-password ]] || random_hex | private_file "$keep/migrate-password" "$EUID"
    password=$(<"$keep/database-password") migrate_password=$(<"$keep/migrate-password")
    database_url postern "$password" | private_file "$keep/database-url" "$worker_user"
    database_url migrate "$migrate_password" | private_file "$keep/migrate-url" "$EUID"
    private_file "$keep/database-init.sql" "$database_user" <<SQL
CREATE DATABASE IF NOT EXISTS postern CHARACTER SET utf8mb4;
CREATE OR REPLACE USER postern@localhost IDENTIFIED BY '$password';
CREATE OR REPLACE USER migrate@localhost IDENTIFIED BY '$migrate_password';
GRANT SELECT, INSERT, UPDATE, DELETE ON postern.* TO postern@localhost;
GRANT ALL PRIVILEGES ON postern.* TO migrate@localhost;
SQL
}

# database_url USER PASSWORD
database_url()
{
    printf 'mysql://%s:%s@localhost/postern?socket=%s\n' "$1" "$2" \
        "$(percent_encode "$run/mariadb/mariadb.sock")"
}

write_config()
{
    cat >"$run/postern.conf" <<CONF
# Written again by each ./autogen.sh run. What you set in the environment is stronger.
ENV = development
DATABASE_URL_FILE = $run/secret/database-url
MIGRATE_DATABASE_URL_FILE = $run/secret/migrate-url
JWT_SECRET_KEY_FILE = $run/secret/jwt-key
LISTEN = $run/socket/fast.sock
HASH_LISTEN = $run/socket/hash.sock
WORKERS = $workers
HASH_WORKERS = $hash_workers
MAX_BODY = $max_body
BASE_PATH = /api
CORS_ORIGINS = $cors_origins
CORS_HEADERS = $cors_headers
LOGIN_LIMIT = $login_limit
LIMITS = $limits
CONF
    ! is_root || printf 'SOCKET_GROUP = %s\n' "$(id -gn "$worker_user")" >>"$run/postern.conf"
}

write_nginx()
{
    local user=''
    ! is_root || user=$worker_user
    # Nothing from our environment: an operator may have there what another nginx was rendered with.
    env -i PATH="$PATH" POSTERN_CONFIG="$run/postern.conf" RUN_DIR="$run/nginx" \
        NGINX_LISTEN="127.0.0.1:$port" NGINX_USER="$user" LOGIN_LIMIT="$login_limit" LIMITS="$limits" \
        nginx/render "$run/nginx/conf"
}

# Everything that is not said is MariaDB's default: commits are on the disk when they are answered.
write_mariadb()
{
    cat >"$run/mariadb.cnf" <<CNF
[mariadbd]
datadir = $run/mariadb/data
socket = $run/mariadb/mariadb.sock
pid-file = $run/mariadb/data/pid
tmpdir = $run/mariadb/tmp
init-file = $run/secret/database-init.sql
skip-networking
skip-name-resolve
local-infile = OFF
character-set-server = utf8mb4
default-time-zone = +00:00
innodb-buffer-pool-size = 256M
CNF
}

# Made beside its place, so that it is there whole or not at all. --force: a host whose own name is
# in no /etc/hosts does not stop us, for we have no network.
make_database()
{
    local data=$run/mariadb/data
    as "$database_user" mkdir -p "$run/mariadb/tmp"
    [[ ! -d $data ]] || return 0
    say "Making a database"
    as "$database_user" rm -rf "$data.new"
    (cd "$run" && as "$database_user" env TMPDIR="$run/mariadb/tmp" mariadb-install-db \
        --no-defaults --force --datadir="$data.new" --skip-test-db --skip-name-resolve \
        --auth-root-authentication-method=socket \
        --auth-root-socket-user="$(id -un)") >"$run/log/mariadb-install-db.log" 2>&1 ||
        fail "mariadb-install-db failed; see $run/log/mariadb-install-db.log."
    as "$database_user" mv "$data.new" "$data"
}

start_database()
{
    make_database
    start mariadbd "$database_user" mariadbd --defaults-file="$run/mariadb.cnf"
    # Repair after a crash may take long.
    until_true 300 "MariaDB does not answer" \
        mariadb-admin --no-defaults --socket="$run/mariadb/mariadb.sock" --connect-timeout=5 ping
}

# A copy, for the workers' user may not reach build/, and make may want to write a new one.
start_pool()
{
    local program=$run/bin/postern
    install -m 755 build/postern "$program"
    # By us: the file of the account that may change tables is not the workers' to read.
    (cd "$run" && "$program" --config "$run/postern.conf" migrate) ||
        fail "The database could not be brought up to date."
    start postern "$worker_user" "$program" --config "$run/postern.conf" serve
    until_true 20 "The workers do not come up" \
        test -S "$run/socket/fast.sock" -a -S "$run/socket/hash.sock"
}

start_nginx()
{
    fresh_log "$run/nginx/nginx-access.log"
    fresh_log "$run/nginx/nginx-error.log"
    start nginx "$EUID" nginx -e "$run/nginx/nginx-error.log" -c "$run/nginx/conf/nginx.conf"
    until_true 30 "The API does not get ready" is_ready
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

announce()
{
    local sudo=''
    [[ -z ${SUDO_USER-} ]] || sudo='sudo '
    cat <<TEXT

Postern answers on http://127.0.0.1:$port/api; its page, to read and to try, is
    http://127.0.0.1:$port/api/docs

The first admin, whose password is read from standard input:
    $sudo$(printf '%q' "$origin/build/postern") --config $(printf '%q' "$origin/build/run/postern.conf") \\
        user add you@example.org --admin --password-stdin

Logs are in $run/log; ctrl-C, or \`kill $$\`, stops everything and leaves the data.
After a change of code stop it and start it again: what runs is a copy. The numbers of the processes
are in $run/pid.

TEXT
}

# Show the log until a part ends; a signal ends us through its trap. Looked at twice a second, for
# `wait -n` forgets what ended before it was called.
follow()
{
    set -m
    setpriv --pdeathsig=TERM tail -qn +1 -F "$run/log/postern.log" \
        "$run/nginx/nginx-access.log" "$run/nginx/nginx-error.log" 2>/dev/null {run_lock}<&- &
    set +m
    disown $!
    part[tail]=$!
    while true; do
        watch_parts
        sleep 0.5
    done
}

run()
{
    read_settings
    lock_run
    stop_leftovers
    ! connects || fail "Port $port is taken; try PORT=8081 ./autogen.sh run."
    need_packages "${run_packages[@]}"
    build
    choose_users
    run_folder
    ulimit -S -n 8192 2>/dev/null || true # nginx has two descriptors for each request
    write_secrets
    write_config
    write_mariadb
    write_nginx
    start_database
    start_pool
    start_nginx
    stop_is_fine=1
    announce
    follow
}

# --- check

check()
{
    need_packages "${run_packages[@]}" "${check_packages[@]}"
    passed=0 failed=0
    export NOTHING_SKIPPED=yes # for a missing program
    check_build build --enable-werror
    check_build build-asan --enable-werror CC=clang --enable-sanitizers
    printf '\n%d passed, %d failed\n' "$passed" "$failed"
    [[ $failed -eq 0 ]]
}

# check_build FOLDER [ARGUMENT...]: a failure is counted, so that the other build is tried as well.
check_build()
{
    local folder=$1 status=0
    # Each time, for the packages that tests need may have come after the last.
    configure "$@"
    find "$folder/tests" -name "*.trs" -delete 2>/dev/null || true
    say "Building $folder and its tests"
    if make_in "$folder" -j"$jobs" && make_in "$folder" -j"$jobs" check TESTS=; then
        say "Testing $folder"
        make_in "$folder" -j"$test_jobs" check || status=$?
    else
        status=1
    fi
    count_results "$folder" "$status"
}

# count_results FOLDER STATUS: add to `passed` and `failed` what the programs' logs tell, and show
# the logs of those that failed.
count_results()
{
    local result log good bad table='' before=$((passed + failed)) failed_before=$failed
    for result in "$1"/tests/*.trs "$1"/tests/*/*.trs; do
        [[ -e $result ]] || continue
        log=${result%.trs}.log
        read -r good bad < <(count_checks "$log" "$result")
        printf -v table '%s%-36s %5d passed, %d failed\n' "$table" "${result%.trs}" "$good" "$bad"
        passed=$((passed + good)) failed=$((failed + bad))
        [[ $bad -eq 0 ]] || cat "$log" || true
    done
    if [[ $2 -ne 0 && $failed -eq $failed_before || $((passed + failed)) -eq $before ]]; then
        printf -v table '%s%-36s %5d passed, %d failed\n' "$table" "make check in $1" 0 1
        failed=$((failed + 1))
    fi
    say "Results of $1"
    printf '%s' "$table"
}

# Check's own lines are "100%: Checks: 12, Failures: 0, Errors: 0". A program without one counts as
# one test, and so does an end that its lines do not explain, such as a leak found at exit.
count_checks()
{
    awk '
        /^:test-result: / { ok = $2 == "PASS" || $2 == "SKIP"; skipped = $2 == "SKIP" }
        /^[0-9]+%: Checks: [0-9]+, Failures: [0-9]+, Errors: [0-9]+$/ {
            lines++; all += $3; bad += $5 + $7
        }
        END {
            if (!ok && !bad) { bad = 1; all++ }
            if (ok && !lines && !skipped) all = 1
            print all - bad, bad + 0
        }' <(cat "$1" "$2" 2>/dev/null)
}

usage()
{
    sed -n '3,/^$/s/^# \{0,1\}//p' autogen.sh
}

main()
{
    if [[ $# -gt 1 ]]; then
        usage >&2
        exit 2
    fi
    catch_signals
    plain_checkout
    case ${1-} in
    '') bootstrap ;;
    run) run ;;
    check) check ;;
    -h | --help | help) usage ;;
    *) usage >&2 && exit 2 ;;
    esac
}

main "$@"; exit # one line: bash reads a script as it goes, and this one may be edited meanwhile
