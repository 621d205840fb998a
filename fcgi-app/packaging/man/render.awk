# The variables in the head of nginx/render, as a manual page has them; in place of the line
# @variables@ of the page's template, which comes second.

function escaped(text)
{
    gsub(/\\/, "\\e", text)
    gsub(/-/, "\\-", text)
    return text
}

function add(line)
{
    lines = lines line "\n"
}

# A group begins with a line that ends in a colon, after an empty one.
FNR == NR && /^#$/ { started = 1; heading = ""; variable = 0; next }
FNR == NR && !/^#/ { nextfile }
FNR == NR && started && /^# [A-Z]/ { heading = substr($0, 3) }
FNR == NR && /^# [a-z]/ { heading = heading " " substr($0, 3) }
FNR == NR && heading ~ /:$/ { group = heading; heading = "" }
FNR == NR && /^#   [A-Z_]+  / {
    if (group != "") {
        sub(/:$/, "", group)
        add(".SS " escaped(group))
        group = ""
    }
    add(".TP\n.B " $2)
    sub(/^#   [A-Z_]+ +/, "# ")
    variable = 1
}
FNR == NR && variable && /^# / {
    text = substr($0, 2)
    gsub(/ +/, " ", text)
    add(escaped(substr(text, 2)))
    next
}
FNR == NR { next }

$0 == "@variables@" { printf "%s", lines; next }
{ print }
