# Figures of reads while others storm -> a table.
#
# A line in is what table.awk takes, with who storms, or `alone`, as its round; or `storm`, WHO
# and its figures, without that, what they were answered.

BEGIN {
    text["alone"] = "alone"
    text["login"] = "while logins storm"
    text["worst"] = "while the worst lists storm"
}

$1 == "storm" {
    theirs[$2] = sprintf("    these themselves %20.1f %9.0f %9.0f", $3 / $4 * 1e6, $5 / 1000, $6 / 1000)
    failed[$2] = $7
    next
}

{
    if ($1 == "alone")
        alone = $6
    if ($3)
        printf "%-28s %9.0f %9.2f %9.2f %13.1f\n", text[$1], $3 / $4 * 1e6, $5 / 1000, $6 / 1000,
            $6 / alone
    else
        printf "%-28s none was answered within %.0f s\n", text[$1], $4 / 1e6
    if ($1 in theirs)
        print theirs[$1] (failed[$1] ? sprintf("     %d refused", failed[$1]) : "")
    failures += $7
}

END {
    if (failures)
        printf "\n%d reads FAILED.\n", failures
}
