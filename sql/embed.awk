# Turns the files of sql/ into C: one `struct migration` each, in the order given, after former.sums.
BEGIN {
    print "/* Made from sql/ by sql/embed.awk. */"
    print "#include \"fcgi-app/migrations.h\"\n"
    print "const struct migration migrations[] = {"
}
FILENAME ~ /former\.sums$/ {
    if ($0 !~ /^#/)
        former[$2] = former[$2] "\"" $1 "\", "
    next
}
FNR == 1 {
    if (count++)
        print "    },"
    name = FILENAME
    sub(/.*\//, "", name)
    printf "    {.number = %d, .name = \"%s\",\n", name + 0, name
    if (former[name])
        print "     .former = (const char *const[]){" former[name] "NULL},"
    print "     .text ="
}
{
    gsub(/\\/, "\\\\")
    gsub(/"/, "\\\"")
    print "     \"" $0 "\\n\""
}
END {
    print "    },\n};\n"
    print "const size_t migration_count = sizeof migrations / sizeof *migrations;"
}
