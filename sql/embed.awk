# Turns the files of sql/ into C: one `struct migration` each, in the order given.
BEGIN {
    print "/* Made from sql/ by sql/embed.awk. */"
    print "#include \"fcgi-app/migrations.h\"\n"
    print "const struct migration migrations[] = {"
}
FNR == 1 {
    if (count++)
        print "    },"
    name = FILENAME
    sub(/.*\//, "", name)
    printf "    {%d, \"%s\",\n", name + 0, name
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
