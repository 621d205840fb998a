# Rows to measure on, with tabs between the columns; the same at every run.
#
#   awk -f seed.awk -v what=users -v count=N -v hash=HASH
#       id, email, password_hash, first_name, last_name, role, created_at
#   awk -f seed.awk -v what=posts -v count=N -v users=N
#       id, author_id, title, content, published, created_at
#
# Words come as often as in texts that people write: the n-th commonest 1/n times as often. Besides,
# posts have marker words, to search for what is known to be so frequent:
#
#   everywhere, anywhere, somewhere    each in 99 % of the posts
#   tenth, hundredth, thousandth       in 10 %, 1 % and 0.1 %
#   northern, southern                 in 1 % each, which never meet
#   solitary                           in two
#   pref and a word, in one            in 20 %: some ten thousand words that begin so
#   the pair 東京                       in 5 %, within a run of Chinese letters
#
# The first user has written a quarter of the posts. One user of a thousand is an admin.

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
    letters = split("一 二 三 人 大 小 中 国 山 川 水 火 木 金 土 日 月 年 时 天 地 心 手 足 目 口 " \
        "耳 生 学 校 先 本 文 字 话 语 读 书 车 馬 魚 鳥 花 草 竹 米 食 茶 酒 北", letter, " ")
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

# Row `i` of `rows`, which are spread evenly over two years that are past.
function born(i, rows)
{
    return 1700000000 + int(i * 60000000 / rows)
}

function user(i,    a, b)
{
    a = first[1 + i % names]
    b = last[1 + int(i / names) % families]
    printf "%s\t%s.%s%d@example.org\t%s\t%s\t%s\t%s\t%d\n", uuid(born(i, count), 1, i), a, b, i, hash,
        toupper(substr(a, 1, 1)) substr(a, 2), toupper(substr(b, 1, 1)) substr(b, 2),
        i % 1000 ? "user" : "admin", born(i, count)
}

function sentence(size,    text)
{
    text = place[random(65536)]
    while (length(text) < size)
        text = text " " place[random(65536)]
    return toupper(substr(text, 1, 1)) substr(text, 2)
}

function run_of_letters(    n, text)
{
    for (n = 4 + random(8); n > 0; n--)
        text = text letter[1 + random(letters)]
    return text "東京" letter[1 + random(letters)] letter[1 + random(letters)]
}

# The marker words of post `i`, each after a blank.
function markers(i,    text, side)
{
    if (random(100))
        text = text " everywhere"
    if (random(100))
        text = text " anywhere"
    if (random(100))
        text = text " somewhere"
    if (!random(10))
        text = text " tenth"
    if (!random(100))
        text = text " hundredth"
    if (!random(1000))
        text = text " thousandth"
    side = random(100)
    if (side < 2)
        text = text (side ? " northern" : " southern")
    if (!random(5))
        text = text " pref" word[1 + random(vocabulary)]
    if (!random(20))
        text = text " " run_of_letters()
    if (i == int(count / 3) - int(count / 3) % 10 + 1 || i == count - count % 10 - 9)
        text = text " solitary"
    return text
}

# Nine of ten are published.
function post(i,    author, title)
{
    state = i
    random(1) # what follows right on neighbours would be neighbours
    random(1)
    author = random(4) ? 1 + random(users) : 1
    title = sentence(30)
    printf "%s\t%s\t%s\t%s%s.\t%d\t%d\n", uuid(born(i, count), 2, i),
        uuid(born(author, users), 1, author), title, sentence(450), markers(i), (i % 10 > 0),
        born(i, count)
}
