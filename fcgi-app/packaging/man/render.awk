# The variables in the head of nginx/render, as a manual page has them; in place of the line
# @variables@ of the page's template, which comes second. `folder`, in which render is, may be broken
# into lines.

function escaped(text)
{
    gsub(/\\/, "\\e", text)
    gsub(/-/, "\\-", text)
    return text
}

# A path may be broken after each slash.
function breakable(path,    parts, count, i, text)
{
    count = split(path, parts, "/")
    for (i = 1; i <= count; i++)
        text = text (i > 1 ? "/\\:" : "") parts[i]
    return text
}

function replace(mark, text,    at)
{
    if ((at = index($0, mark)) > 0)
        $0 = substr($0, 1, at - 1) text substr($0, at + length(mark))
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
{ replace("@nginxdir@", breakable(folder)); replace("@version@", version); print }
