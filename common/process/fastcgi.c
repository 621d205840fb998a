#include "common/process/fastcgi.h"

#include <string.h>

#define FASTCGI_VERSION 1
#define HEAD_SIZE 8
#define BEGIN_SIZE 8
#define QUESTION_MAX 512 /* bytes of a question about ourselves */
#define SKIPPED_MAX ((size_t)65536)
#define ANSWER_MAX ((size_t)65536)
#define RECORD_MAX 65528 /* content of one record: below 64 KiB, a multiple of eight */

enum type {
    BEGIN_REQUEST = 1,
    ABORT_REQUEST,
    END_REQUEST,
    PARAMS,
    STDIN,
    STDOUT,
    STDERR,
    DATA,
    GET_VALUES,
    GET_VALUES_RESULT,
    UNKNOWN_TYPE
};
enum { RESPONDER = 1 };
enum status { REQUEST_COMPLETE, CANT_MPX_CONN, OVERLOADED, UNKNOWN_ROLE };

/* ---- writing ---- */

static void write_head(unsigned char head[HEAD_SIZE], enum type type, unsigned id, size_t len)
{
    const unsigned char bytes[HEAD_SIZE] = {FASTCGI_VERSION,           (unsigned char)type,
                                            (unsigned char)(id >> 8),  (unsigned char)id,
                                            (unsigned char)(len >> 8), (unsigned char)len};
    memcpy(head, bytes, HEAD_SIZE);
}

static void put_head(struct buf *out, enum type type, unsigned id, size_t len)
{
    unsigned char head[HEAD_SIZE];
    write_head(head, type, id, len);
    buf_add(out, head, sizeof head);
}

static void put_record(struct buf *out, enum type type, unsigned id, const void *data, size_t len)
{
    put_head(out, type, id, len);
    buf_add(out, data, len);
}

static void put_status(struct buf *out, unsigned id, enum status status)
{
    const unsigned char body[8] = {0, 0, 0, 0, (unsigned char)status};
    put_record(out, END_REQUEST, id, body, sizeof body);
}

void fastcgi_put(struct buf *out, unsigned id, const char *data, size_t len)
{
    while (len) {
        size_t part = len < RECORD_MAX ? len : RECORD_MAX;
        put_record(out, STDOUT, id, data, part);
        data += part;
        len -= part;
    }
}

void fastcgi_put_end(struct buf *out, unsigned id)
{
    put_head(out, STDOUT, id, 0);
    put_status(out, id, REQUEST_COMPLETE);
}

/* The last eight bytes of an end, REQUEST_COMPLETE among them, are zero. */
size_t fastcgi_write(char *to, size_t room, unsigned id, const char *data, size_t len)
{
    unsigned char heads[3][HEAD_SIZE], *at = (unsigned char *)to;
    size_t size = sizeof heads + len + 8;
    if (len > RECORD_MAX || size > room)
        return 0;
    write_head(heads[0], STDOUT, id, len);
    write_head(heads[1], STDOUT, id, 0);
    write_head(heads[2], END_REQUEST, id, 8);
    memset(to, 0, size);
    memcpy(at, heads[0], HEAD_SIZE);
    memcpy(at + HEAD_SIZE, data, len);
    memcpy(at + HEAD_SIZE + len, heads[1], sizeof heads - HEAD_SIZE);
    return size;
}

/* ---- pairs of names and values ---- */

/* A length is one byte, or four of which the first bit is set. */
static bool read_length(struct text *rest, size_t *ret)
{
    const unsigned char *at = (const unsigned char *)rest->data;
    size_t size = rest->len && at[0] & 0x80 ? 4 : 1;
    if (rest->len < size)
        return false;
    *ret = size == 1
               ? at[0]
               : (size_t)(at[0] & 0x7F) << 24 | (size_t)at[1] << 16 | (size_t)at[2] << 8 | at[3];
    rest->data += size;
    rest->len -= size;
    return true;
}

static struct text cut_off(struct text *rest, size_t len)
{
    struct text part = {rest->data, len};
    rest->data += len;
    rest->len -= len;
    return part;
}

/* False at the end, and where the lengths are more than there is: then `rest` is not empty. */
static bool next_pair(struct text *rest, struct text *ret_name, struct text *ret_value)
{
    struct text at = *rest;
    size_t name, value;
    if (!read_length(&at, &name) || !read_length(&at, &value) || name > at.len ||
        value > at.len - name)
        return false;
    *ret_name = cut_off(&at, name);
    *ret_value = cut_off(&at, value);
    *rest = at;
    return true;
}

static char *join(struct arena *a, struct text name, struct text value)
{
    char *pair = arena_alloc(a, name.len + value.len + 2);
    if (name.len)
        memcpy(pair, name.data, name.len);
    pair[name.len] = '=';
    if (value.len)
        memcpy(pair + name.len + 1, value.data, value.len);
    return pair;
}

char *const *fastcgi_params(const struct fastcgi *f, struct arena *a)
{
    const struct text all = {f->params.data, f->params.len};
    struct text name, value, rest = all;
    size_t count = 0;
    while (next_pair(&rest, &name, &value))
        count++;
    if (rest.len)
        return NULL;
    char **list = arena_array(a, count + 1, sizeof *list), **to = list;
    for (rest = all; next_pair(&rest, &name, &value);)
        *to++ = join(a, name, value);
    return list;
}

struct text fastcgi_param(const struct fastcgi *f, const char *wanted)
{
    struct text name, value, rest = {f->params.data, f->params.len};
    while (next_pair(&rest, &name, &value))
        if (text_equal(name, text_of(wanted)))
            return value;
    return (struct text){0};
}

/* ---- questions about ourselves ---- */

static void answer_value(struct buf *result, struct text name)
{
    static const struct {
        const char *name, *value;
    } known[] = {{"FCGI_MAX_CONNS", "1"}, {"FCGI_MAX_REQS", "1"}, {"FCGI_MPXS_CONNS", "0"}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (!text_equal(name, text_of(known[i].name)))
            continue;
        const unsigned char lengths[] = {(unsigned char)name.len, 1};
        buf_add(result, lengths, sizeof lengths);
        buf_add(result, name.data, name.len);
        buf_puts(result, known[i].value);
    }
}

static void answer_values(struct fastcgi *f)
{
    struct text name, value, rest = {f->content.data, f->content.len};
    struct buf result;
    buf_init(&result,
             (size_t)QUESTION_MAX * 2); /* of two bytes for a pair the answer is not more */
    while (next_pair(&rest, &name, &value))
        answer_value(&result, name);
    put_record(&f->answer, GET_VALUES_RESULT, 0, result.data, result.len);
    buf_release(&result);
}

/* ---- records ---- */

static enum fastcgi_step begin_management(struct fastcgi *f, unsigned char type)
{
    f->record = type == GET_VALUES ? FASTCGI_VALUES : FASTCGI_SKIP;
    if (type == GET_VALUES)
        return f->content_left > QUESTION_MAX ? FASTCGI_BROKEN : FASTCGI_MORE;
    const unsigned char body[8] = {type};
    put_record(&f->answer, UNKNOWN_TYPE, 0, body, sizeof body);
    return FASTCGI_MORE;
}

static enum fastcgi_step begin_begin(struct fastcgi *f, unsigned id)
{
    if (f->content_left != BEGIN_SIZE || (f->awaits != FASTCGI_IDLE && id == f->id))
        return FASTCGI_BROKEN;
    if (f->awaits != FASTCGI_IDLE) {
        put_status(&f->answer, id, CANT_MPX_CONN);
        return FASTCGI_MORE;
    }
    f->id = id;
    f->record = FASTCGI_BEGIN;
    return FASTCGI_MORE;
}

/* A record of our request; streams end with an empty one. */
static enum fastcgi_step begin_ours(struct fastcgi *f, unsigned char type)
{
    if (type == ABORT_REQUEST)
        return FASTCGI_BROKEN;
    if (type != PARAMS && type != STDIN)
        return FASTCGI_MORE; /* of no meaning for a responder */
    if (f->awaits != (type == PARAMS ? FASTCGI_PARAMS : FASTCGI_BODY))
        return FASTCGI_BROKEN;
    f->record = type == PARAMS ? FASTCGI_PARAM : FASTCGI_STDIN;
    if (f->content_left == 0)
        f->awaits = type == PARAMS ? FASTCGI_BODY : FASTCGI_END;
    return FASTCGI_MORE;
}

static enum fastcgi_step begin_record(struct fastcgi *f)
{
    const unsigned char *head = f->head;
    unsigned id = (unsigned)head[2] << 8 | head[3];
    f->content_left = (size_t)head[4] << 8 | head[5];
    f->padding_left = head[6];
    f->record = FASTCGI_SKIP;
    if (head[0] != FASTCGI_VERSION)
        return FASTCGI_BROKEN;
    if (id == 0)
        return begin_management(f, head[1]);
    if (head[1] == BEGIN_REQUEST)
        return begin_begin(f, id);
    if (f->awaits == FASTCGI_IDLE || id != f->id)
        return FASTCGI_MORE; /* of a request that there is not: ignored (section 3.3) */
    return begin_ours(f, head[1]);
}

static enum fastcgi_step end_record(struct fastcgi *f)
{
    const unsigned char *content = (const unsigned char *)f->content.data;
    if (f->record == FASTCGI_VALUES)
        answer_values(f);
    if (f->record == FASTCGI_BEGIN) {
        if (((unsigned)content[0] << 8 | content[1]) != RESPONDER) {
            put_status(&f->answer, f->id, UNKNOWN_ROLE);
            return FASTCGI_BROKEN;
        }
        f->awaits = FASTCGI_PARAMS;
    }
    return f->awaits == FASTCGI_END ? FASTCGI_WHOLE : FASTCGI_MORE;
}

/* ---- bytes ---- */

static void take_content(struct fastcgi *f, const char *data, size_t len)
{
    switch (f->record) {
    case FASTCGI_PARAM:
        buf_add(&f->params, data, len);
        break;
    case FASTCGI_STDIN:
        buf_add(&f->body, data, len);
        f->body_len += len;
        break;
    case FASTCGI_BEGIN:
    case FASTCGI_VALUES:
        buf_add(&f->content, data, len);
        f->skipped += len;
        break;
    case FASTCGI_SKIP:
        f->skipped += len;
    }
}

static bool is_too_much(const struct fastcgi *f)
{
    return f->params.full || f->answer.full || f->skipped > SKIPPED_MAX ||
           f->body_len > f->body.max + FASTCGI_DRAIN_MAX;
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Take a piece of what the record is at. Returns how many bytes that were. */
static size_t take_piece(struct fastcgi *f, const char *data, size_t len, enum fastcgi_step *ret)
{
    size_t part;
    if (f->head_len < HEAD_SIZE) {
        part = least(len, HEAD_SIZE - f->head_len);
        memcpy(f->head + f->head_len, data, part);
        f->head_len += part;
        if (f->head_len == HEAD_SIZE) {
            *ret = begin_record(f);
            f->skipped += f->record == FASTCGI_SKIP ? HEAD_SIZE : 0;
        }
    } else if (f->content_left) {
        part = least(len, f->content_left);
        take_content(f, data, part);
        f->content_left -= part;
    } else {
        part = least(len, f->padding_left);
        f->padding_left -= part;
    }
    if (*ret == FASTCGI_MORE && f->head_len == HEAD_SIZE && !f->content_left && !f->padding_left) {
        *ret = end_record(f);
        f->head_len = 0;
        buf_reset(&f->content);
    }
    return part;
}

enum fastcgi_step fastcgi_take(struct fastcgi *f, const char *data, size_t len)
{
    enum fastcgi_step step = FASTCGI_MORE;
    while (len && step == FASTCGI_MORE) {
        size_t taken = take_piece(f, data, len, &step);
        data += taken;
        len -= taken;
        if (is_too_much(f))
            step = FASTCGI_BROKEN;
    }
    return step;
}

/* ---- life ---- */

void fastcgi_init(struct fastcgi *f, size_t body_max)
{
    *f = (struct fastcgi){.awaits = FASTCGI_IDLE};
    buf_init(&f->params, FASTCGI_PARAMS_MAX);
    buf_init(&f->body, body_max);
    buf_init(&f->content, QUESTION_MAX);
    buf_init(&f->answer, ANSWER_MAX);
}

void fastcgi_release(struct fastcgi *f)
{
    buf_release(&f->params);
    buf_release(&f->body);
    buf_release(&f->content);
    buf_release(&f->answer);
}

void fastcgi_reset(struct fastcgi *f)
{
    buf_reset(&f->params);
    buf_reset(&f->body);
    buf_reset(&f->content);
    buf_reset(&f->answer);
    f->id = 0;
    f->body_len = f->skipped = f->head_len = f->content_left = f->padding_left = 0;
    f->awaits = FASTCGI_IDLE;
}

size_t fastcgi_size(const struct fastcgi *f)
{
    return f->params.len + f->body.len;
}
