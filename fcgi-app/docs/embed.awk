# Turns docs.html, docs.css and docs.js, in this order, into the C strings of one struct.
BEGIN {
    print "/* Made from fcgi-app/docs/ by embed.awk there. */"
    print "#include \"fcgi-app/docs_assets.h\"\n"
    print "const struct docs_assets docs_assets = {"
}
FNR == 1 && NR > 1 {
    print "    ,"
}
{
    gsub(/\\/, "\\\\")
    gsub(/"/, "\\\"")
    print "    \"" $0 "\\n\""
}
END {
    print "};"
}
