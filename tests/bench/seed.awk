# Rows to measure on, with tabs between the columns; the same at every run.
#
#   awk -f seed.awk -v what=users -v count=N -v hash=HASH
#       id, email, password_hash, first_name, last_name, role, created_at
#   awk -f seed.awk -v what=posts -v count=N -v users=N
#       id, author_id, title, content, published, created_at
#
# Words come as often as in texts that people write: the n-th commonest 1/n times as often.

BEGIN {
    split("ada alan anna barbara bjarne brian carol claude dennis donald edsger emmy frances " \
        "grace hedy ivan jean joan john katherine ken kurt leslie linus lynn margaret marvin " \
        "mary niklaus noam peter radia richard robin rosalind sophie stephen tim tony", first, " ")
    split("allen backus boole church codd curry dijkstra floyd goldberg hamilton hoare hopper " \
        "iverson johnson kay kernighan knuth lamport lovelace mccarthy milner moore naur newman " \
        "noether perlis ritchie shannon thompson turing wilkes wirth", last, " ")
    names = 39
    families = 32
    vocabulary = 20000
    make_words()
    for (i = 1; i <= count; i++)
        if (what == "users")
            user(i)
        else
            post(i)
}

# Park and Miller's generator, since rand() differs from one awk to the next.
function random(below)
{
    state = state * 16807 % 2147483647
    return int(state / 2147483647 * below)
}

function make_words(    i, n, total, share, syllable)
{
    split("ba be bo ca ce co da de di fa fe ga go ha hi ja ka ke la le li lo ma me mi mo na ne " \
        "no pa pe po ra re ri ro sa se so ta te ti to va ve vi wa we za zo", syllable, " ")
    state = 1
    for (i = 1; i <= vocabulary; i++) {
        word[i] = ""
        for (n = 2 + random(3); n > 0; n--)
            word[i] = word[i] syllable[1 + random(50)]
    }
    for (i = 1; i <= vocabulary; i++)
        total += 1 / i
    n = 0 # of 65,536 places, of which each word gets its share
    for (i = 1; i <= vocabulary; i++) {
        share += 65536 / i / total
        while (n < share && n < 65536)
            place[n++] = word[i]
    }
    while (n < 65536)
        place[n++] = word[1]
}

# Version 7 (RFC 9562): milliseconds, then what makes row `i` of table `tag` its own.
function uuid(seconds, tag, i)
{
    return sprintf("%08x-%04x-7%03x-8%03x-%012x", int(seconds * 1000 / 65536),
        seconds * 1000 % 65536, tag, i % 4096, i)
}

function born(i, every)
{
    return 1700000000 + i * every
}


function user(i,    a, b)
{
    a = first[1 + i % names]
    b = last[1 + int(i / names) % families]
    printf "%s\t%s.%s%d@example.org\t%s\t%s\t%s\tuser\t%d\n", uuid(born(i, 300), 1, i), a, b, i,
        hash, toupper(substr(a, 1, 1)) substr(a, 2), toupper(substr(b, 1, 1)) substr(b, 2),
        born(i, 300)
}

function sentence(size,    text)
{
    text = place[random(65536)]
    while (length(text) < size)
        text = text " " place[random(65536)]
    return toupper(substr(text, 1, 1)) substr(text, 2)
}

# Nine of ten are published.
function post(i,    author)
{
    state = i
    random(1) # what follows right on neighbours would be neighbours
    random(1)
    author = 1 + random(users)
    printf "%s\t%s\t%s\t%s.\t%d\t%d\n", uuid(born(i, 150), 2, i), uuid(born(author, 300), 1, author),
        sentence(30), sentence(500), (i % 10 > 0), born(i, 150)
}
