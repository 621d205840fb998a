# Figures of reads while others storm -> a table, and whether p99 stays within LIMIT times.
#
# A line in is WHO and what table.awk takes, with WHO who storms, or `alone`; or `storm`, WHO and
# its figures, without the first; or `slow`, how many connections were open, how many were begun.
# p99 is compared within a round, and of these ratios the median counts (median.awk).

function note(who, what, figure)
{
    value[who, what, ++count[who, what]] = figure
}

function middle(who, what,    i, list)
{
    for (i = 1; i <= count[who, what]; i++)
        list[i] = value[who, what, i]
    return median(list, count[who, what])
}

BEGIN {
    order = split("alone login worst slow", name, " ")
    text["alone"] = "alone"
    text["login"] = "while logins storm"
    text["worst"] = "while the worst lists storm"
    text["slow"] = "beside slow clients"
}

$1 == "storm" && NF > 3 {
    note($2, "theirs", $3 / $4 * 1e6)
    note($2, "their p99", $6 / 1000)
    next
}

$1 == "slow" && NF == 3 {
    note("slow", "open", $2)
    next
}

$1 != "storm" {
    failures += $8
    if (!$4)
        silent[$1]++
    note($1, "rate", $4 / $5 * 1e6)
    note($1, "p50", $6 / 1000)
    note($1, "p99", $7 / 1000)
    if ($1 == "alone")
        alone = $7
    note($1, "ratio", alone ? $7 / alone : 0)
}

END {
    for (i = 1; i <= order; i++) {
        who = name[i]
        ratio = middle(who, "ratio")
        printf "%-28s %9.0f %9.2f %9.2f %13.1f\n", text[who], middle(who, "rate"), middle(who, "p50"),
            middle(who, "p99"), ratio
        if (count[who, "theirs"])
            printf "    these themselves %20.1f %19.0f\n", middle(who, "theirs"), middle(who, "their p99")
        if (count[who, "open"])
            printf "    of which were open at once %.0f\n", middle(who, "open")
        if (silent[who]) {
            printf "    in %d rounds none was answered\n", silent[who]
            missed++
        }
        missed += ratio > LIMIT
    }
    if (failures)
        printf "\n%d reads FAILED.\n", failures
    printf "\np99 %s within %d times.\n", missed || failures ? "is NOT" : "stays", LIMIT
    exit missed || failures ? 1 : 0
}
