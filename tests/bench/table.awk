# Figures of all rounds -> one line for each target, its medians, and its ratios to `select`.
#
# A line in is ROUND TARGET REQUESTS MICROSECONDS P50 P99 FAILURES LONGEST, then ticks of the
# processor that workers, MariaDB and nginx took; or `memory` TARGET KIB.

function median(what, target,    n, i, k, v, list)
{
    for (i = 1; i <= rounds; i++) {
        v = value[what, target, i]
        for (k = n++; k > 0 && list[k] > v; k--)
            list[k + 1] = list[k]
        list[k + 1] = v
    }
    return n % 2 ? list[(n + 1) / 2] : (list[n / 2] + list[n / 2 + 1]) / 2
}

function note(what, figure)
{
    value[what, $2, $1] = figure
}

$1 == "memory" {
    memory[$2] = $3
    targets[++count] = $2
    next
}

{
    rounds = $1
    failures += $7
    note("rate", $3 / $4 * 1e6)
    note("p50", $5 / 1000)
    note("p99", $6 / 1000)
    note("cpu", $9 / ticks * 1000 / $3)
    note("database", $10 / ticks * 1000 / $3)
    note("nginx", $11 / ticks * 1000 / $3)
}

function line(target, prefix, memory,    k)
{
    printf "%-8s", target
    printf prefix ? "%9.2f" : "%9.0f", median(prefix "rate", target)
    for (k = 2; k <= kinds; k++)
        printf prefix || k < 4 ? "%9.2f" : "%9.3f", median(prefix kind[k], target)
    printf prefix ? "%9.2f\n" : "%9.1f\n", memory
}

END {
    kinds = split("rate p50 p99 cpu database nginx", kind, " ")
    for (i = 1; i <= count; i++)
        for (r = 1; r <= rounds; r++)
            for (k = 1; k <= kinds; k++)
                if (value[kind[k], "select", r])
                    value["of " kind[k], targets[i], r] = \
                        value[kind[k], targets[i], r] / value[kind[k], "select", r]
    print "                                   CPU s of 1,000 requests        PSS"
    print "            req/s   p50 ms   p99 ms  workers  MariaDB    nginx      MiB"
    for (i = 1; i <= count; i++)
        line(targets[i], "", memory[targets[i]] / 1024)
    print "\nthe same as ratios to select"
    for (i = 1; i <= count; i++)
        line(targets[i], "of ", memory[targets[i]] / memory["select"])
    if (failures)
        printf "\n%d requests FAILED: these figures mean nothing.\n", failures
}
