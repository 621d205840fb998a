# Figures of lists.bash, of one size after the other -> a table with a column for each size.
#
# A line in is what row.awk prints; or a size and the title of a group.

BEGIN {
    FS = "\t"
    limit = 50 # times a post by id
}

!($1 in known) {
    known[$1] = 1
    group = ""
    sizes[++columns] = $1
}

NF == 2 {
    group = $2
}

{
    key = NF == 2 ? group : group FS $2
    if (!(key in seen)) {
        seen[key] = 1
        keys[++rows] = key
    }
}

function short(n)
{
    return sprintf(n < 99.995 ? "%.2f" : "%.0f", n)
}

NF == 7 && $3 == 200 {
    times = sprintf($6 < 9.95 ? "%.1f" : "%.0f", $6)
    cell[key, $1] = sprintf("%7s%7s%6s%s%s", short($4), short($5), times, ($6 > limit ? "*" : " "),
        ($7 ? "0" : " "))
    over[$1] += $6 > limit
    timed[$1]++
}

NF == 7 && $3 != 200 {
    cell[key, $1] = sprintf("%7s%7s%6s  ", "-", "-", $3)
    refused[$1] += $3 != "-"
}

function thousands(n)
{
    while (n ~ /[0-9][0-9][0-9][0-9]($|,)/)
        sub(/[0-9][0-9][0-9]($|,)/, ",&", n)
    return n
}

function heading(    c)
{
    printf "%-34s", "posts (and half as many users)"
    for (c = 1; c <= columns; c++)
        printf "%20s  ", thousands(sizes[c])
    printf "\n%-34s", ""
    for (c = 1; c <= columns; c++)
        printf "%7s%7s%6s  ", "p50 ms", "p99", "times"
    print ""
}

function line(key,    part, c)
{
    if (split(key, part, FS) == 1) {
        print key
        return
    }
    printf "%-34s", (part[1] ? "  " : "") part[2]
    for (c = 1; c <= columns; c++)
        printf "%s", (key, sizes[c]) in cell ? cell[key, sizes[c]] : sprintf("%22s", "")
    print ""
}

END {
    heading()
    for (r = 1; r <= rows; r++)
        line(keys[r])
    printf "\n`times` a post by id, * over %d; 0 an empty list; - a parameter that is not known, or no\n", limit
    print "such page; another status than 200 stands in place of `times`."
    for (c = 1; c <= columns; c++)
        printf "%s posts: %d of %d lists took more than %d times a post by id%s\n", thousands(sizes[c]),
            over[sizes[c]], timed[sizes[c]], limit,
            (refused[sizes[c]] ? "; " refused[sizes[c]] " were not answered" : "")
}
