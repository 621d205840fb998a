# Turns docs.html, docs.css and docs.js, in this order, and what NEWS, the last, says of the API into
# the C strings of one struct.
function put(line)
{
    gsub(/\\/, "\\\\", line)
    gsub(/"/, "\\\"", line)
    gsub(/\?\?/, "?\"\"?", line) # which could begin a trigraph
    print "    \"" line "\\n\""
}

BEGIN {
    print "/* Made from fcgi-app/docs/ and NEWS by embed.awk. */"
    print "#include \"fcgi-app/docs_assets.h\"\n"
    print "const struct docs_assets docs_assets = {"
}
FNR == 1 && NR > 1 {
    print "    ,"
}
# Indentation and comments are for us.
FILENAME ~ /(css|js)$/ {
    sub(/^ +/, "")
    if (!/^\/\/ / && $0 != "")
        put($0)
    next
}
FILENAME !~ /NEWS$/ {
    put($0)
    next
}
# The heading of a version is underlined; "The API" is one of its sections.
FNR == 1 {
    print "    \"\""
}
/^---/ {
    version = before
    inside = 0
}
/^[^ -]/ {
    inside = $0 == "The API"
    if (inside)
        put(version)
}
/^ / && inside {
    put($0)
}
{
    before = $0
}
END {
    print "};"
}
