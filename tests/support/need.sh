# shellcheck shell=sh
# need PROGRAM:PACKAGE... -- for tests, which source this: where a program, or a file by its whole
# path, is missing, the test is skipped and says what to install. `./autogen.sh check` installs them
# all, so there it is an error (NOTHING_SKIPPED).
need()
{
    missing=
    for pair; do
        case $pair in
        /*) [ -e "${pair%%:*}" ] ;;
        *) PATH=$PATH:/usr/sbin:/usr/local/sbin:/usr/libexec command -v "${pair%%:*}" >/dev/null ;;
        esac || missing="$missing ${pair#*:}"
    done
    [ -n "$missing" ] || return 0
    echo "skipped, for programs are missing; on Debian: apt-get install$missing"
    [ "${NOTHING_SKIPPED-}" != yes ] || exit 99
    exit 77
}
