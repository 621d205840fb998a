# Figures of writes, all rounds -> a table; beside median.awk.
#
# A line in is `all` or `one`, and then what table.awk takes.

BEGIN {
    split("postern peer fulltext", names, " ")
    text["postern"] = "Postern"
    text["peer"] = "peer"
    text["fulltext"] = "peer with full text"
    aim["peer"] = 0.8
    aim["fulltext"] = 1.4
    who["all"] = authors " authors, " connections " connections"
    who["one"] = "one author, 8 connections"
}

function note(what, figure)
{
    value[$1, $3, what, $2] = figure
}

{
    rounds = $2
    failures += $8
    note("rate", $4 / $5 * 1e6)
    note("p50", $6 / 1000)
    note("p99", $7 / 1000)
    note("longest", $9 / 1000)
    note("cpu", $4 ? $10 / ticks * 1000 / $4 : 0)
    note("database", $4 ? $11 / ticks * 1000 / $4 : 0)
}

# Of all rounds; of the ratios of each round to another, if one is named.
function over_rounds(kind, name, what, other,    r, list)
{
    for (r = 1; r <= rounds; r++) {
        list[r] = value[kind, name, what, r]
        if (other)
            list[r] /= value[kind, other, what, r]
    }
    return median(list, rounds)
}

function line(kind, name)
{
    printf "%-26s %8.0f %8.2f %8.2f %8.2f %10.3f %8.3f", "  " text[name],
        over_rounds(kind, name, "rate"), over_rounds(kind, name, "p50"),
        over_rounds(kind, name, "p99"), over_rounds(kind, name, "longest"),
        over_rounds(kind, name, "cpu"), over_rounds(kind, name, "database")
    if (name in aim)
        printf "%10.2f (%.1f)", over_rounds(kind, "postern", "rate", name), aim[name]
    print ""
}

END {
    printf "%82s%16s\n", "CPU s of 1,000 writes", "Postern / it"
    printf "%-26s %8s %8s %8s %8s %10s %8s%16s\n", "", "req/s", "p50 ms", "p99 ms", "longest", "workers",
        "MariaDB", "(aim)"
    for (k = split("all one", kinds, " "); k > 0; k--) {
        kind = kinds[3 - k]
        print who[kind]
        for (i = 1; i <= 3; i++)
            line(kind, names[i])
    }
    if (failures)
        printf "\n%d writes FAILED: these figures mean nothing.\n", failures
}
