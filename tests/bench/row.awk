# Answers of one row of lists.bash -> its line of figures; beside median.awk.
#
# In: `list` or `post`, status, seconds, bytes. Out, with tabs: size, name, status, of the list median
# and p99 in ms, the ratio to a post, and whether the list is empty.
#
# The ratio is that of the lower quartiles, for other work on the machine makes the slower half of
# short requests as slow as that of long ones.

{
    seconds[$1, ++count[$1]] = $3
    if ($2 != 200)
        status[$1] = $2
    if ($1 == "list" && $4 != "" && $4 < 250) # no row and its pagination; a row has more
        empty = 1
}

function sort_seconds(which, list,    i)
{
    for (i = 1; i <= count[which]; i++)
        list[i] = seconds[which, i]
    return median(list, count[which])
}

function percentile(list, n, share)
{
    return list[int(n * share + 0.999999)]
}

END {
    middle = sort_seconds("list", ours)
    sort_seconds("post", base)
    n = count["list"]
    quick = percentile(base, count["post"], 0.25)
    code = "post" in status ? "post " status["post"] : "list" in status ? status["list"] : 200
    printf "%d\t%s\t%s\t%.6f\t%.6f\t%.3f\t%d\n", size, name, code, middle * 1000,
        percentile(ours, n, 0.99) * 1000, (quick > 0 ? percentile(ours, n, 0.25) / quick : 0), empty
}
