#include "fcgi-app/cli/listing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/buf.h"
#include "fcgi-app/cli/terminal.h"

#define PAGE_MAX ((size_t)128 * 1024 * 1024) /* names may be all escapes */
#define ROW_MAX ((size_t)1024 * 1024)
#define GAP 2 /* spaces between columns */

static const char *cell_of(struct arena *a, const struct field *f, const void *row)
{
    const char *text = shown_text(a, text_of(field_to_text(a, f, row)));
    return *text ? text : "-";
}

static const char *json_line(struct arena *a, const struct record *r, const void *row)
{
    struct buf b;
    buf_init(&b, ROW_MAX);
    record_to_json(&b, r, row);
    if (b.full)
        abort(); /* no row of ours is that long */
    const char *line = shown_text(a, (struct text){b.data, b.len});
    buf_release(&b);
    return line;
}

static void print_line(const struct listing *l, const char *const *cells)
{
    for (size_t i = 0; i + 1 < l->columns; i++)
        printf("%s%*s", cells[i], (int)(l->widths[i] - shown_width(cells[i]) + GAP), "");
    puts(cells[l->columns - 1]);
}

static void take_width(struct listing *l, size_t column, const char *cell)
{
    size_t width = shown_width(cell);
    if (width > l->widths[column])
        l->widths[column] = width;
}

static void print_heads(struct listing *l)
{
    const char *heads[LISTING_COLUMNS];
    size_t column = 0;
    for (size_t i = 0; i < l->r->count; i++) {
        if (!(l->r->fields[i].use & FIELD_SHOWN))
            continue;
        heads[column] = field_heading(l->page, &l->r->fields[i]);
        take_width(l, column, heads[column]);
        column++;
    }
    print_line(l, heads);
    l->headed = true;
}

void listing_print(struct listing *l)
{
    if (!l->json && !l->headed)
        print_heads(l);
    for (size_t i = 0; i < l->rows; i++) {
        if (l->json)
            puts(l->cells[i][0]);
        else
            print_line(l, l->cells[i]);
    }
    l->rows = 0;
    arena_reset(l->page);
}

void listing_open(struct listing *l, const struct record *r, bool json)
{
    *l = (struct listing){.r = r, .json = json, .page = arena_open(PAGE_MAX)};
    for (size_t i = 0; i < r->count; i++)
        l->columns += (r->fields[i].use & FIELD_SHOWN) != 0;
    if (l->columns == 0 || l->columns > LISTING_COLUMNS)
        abort();
}

void listing_add(struct listing *l, const void *row)
{
    size_t column = 0;
    if (l->rows == LISTING_ROWS)
        abort(); /* the caller prints each page */
    const char **cells = l->cells[l->rows++];
    if (l->json) {
        cells[0] = json_line(l->page, l->r, row);
        return;
    }
    for (size_t i = 0; i < l->r->count; i++) {
        if (!(l->r->fields[i].use & FIELD_SHOWN))
            continue;
        cells[column] = cell_of(l->page, &l->r->fields[i], row);
        take_width(l, column, cells[column]);
        column++;
    }
}

void listing_close(struct listing *l, bool failed)
{
    if (!l->headed && !failed)
        listing_print(l);
    arena_close(l->page);
}

void print_record(struct arena *a, const struct record *r, const void *row, bool json)
{
    size_t widest = 0;
    if (json) {
        puts(json_line(a, r, row));
        return;
    }
    for (size_t i = 0; i < r->count; i++)
        if ((r->fields[i].use & FIELD_SHOWN) && strlen(r->fields[i].name) > widest)
            widest = strlen(r->fields[i].name);
    for (size_t i = 0; i < r->count; i++)
        if (r->fields[i].use & FIELD_SHOWN)
            printf("%-*s  %s\n", (int)widest, r->fields[i].name, cell_of(a, &r->fields[i], row));
}
