# shellcheck shell=bash
# A clean Debian of any release in a folder, for check-debian and check-deb. Sourced.

readonly archives=/var/cache/apt/archives

# debian_keep_packages RELEASE FOLDER: those that it has fetched, for the next root.
debian_keep_packages()
{
    local template
    template=$(debian_template "$1") || exit
    find "$2$archives" -maxdepth 1 -name '*.deb' -exec cp -an -t "$template.archives" {} + || true
}

# debian_mirror: where apt finds the main archive on this machine.
debian_mirror()
{
    # shellcheck disable=SC2016 # it is apt that expands this
    apt-get indextargets --format '$(ORIGIN)|$(COMPONENT)|$(REPO_URI)' |
        sed -n 's/^Debian|main|//p' | grep -v -e security | sed -n 1p
}

# debian_template RELEASE: print the folder with a minimal Debian, which is made the first time. It
# is kept below $POSTERN_TEST_CACHE or the present folder, and its packages in RELEASE.archives
# beside it, so that a second root takes seconds.
debian_template()
{
    local release=$1 folder mirror
    folder=$(cd "${POSTERN_TEST_CACHE:-.}" && pwd)/debian-$release
    if [[ ! -d $folder ]]; then
        mirror=$(debian_mirror)
        [[ -n $mirror ]] || fail "apt has no mirror of Debian here."
        printf '== Making a template of Debian %s\n' "$release" >&2
        rm -rf --one-file-system "$folder.new"
        # Among mounts of its own, which go with it.
        unshare --mount debootstrap --variant=minbase "$release" "$folder.new" "$mirror" \
            >"$folder.log" 2>&1 || { tail "$folder.log" >&2; fail "debootstrap fails."; }
        mv "$folder.new" "$folder"
    fi
    mkdir -p "$folder.archives"
    printf '%s\n' "$folder"
}

# debian_root RELEASE FOLDER: a copy of the template, with this machine's ways to names, and the
# packages that roots before it have fetched. Not their folder itself, which one apt locks.
debian_root()
{
    local template name
    template=$(debian_template "$1") || exit
    cp -a --reflink=auto "$template" "$2"
    find "$template.archives" -name '*.deb' -exec cp -a --reflink=auto -t "$2$archives" {} +
    for name in /etc/resolv.conf /etc/hosts; do
        cp -L "$name" "$2$name"
    done
}
