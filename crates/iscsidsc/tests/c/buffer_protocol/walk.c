#include "walk.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"

void walk_begin(struct walk *walk, const void *buffer, size_t bytes, ULONG count)
{
    *walk = (struct walk){.buffer = buffer, .bytes = bytes, .count = count};
    walk->plain = malloc(bytes + 1);
    walk->owned = calloc(bytes + 1, 1);
    walk->edges = calloc(bytes + 1, 1);
    CHECK(walk->plain != NULL && walk->owned != NULL && walk->edges != NULL);
    if (bytes > 0) {
        memcpy(walk->plain, buffer, bytes);
    }
}

void walk_end(const struct walk *walk)
{
    for (size_t at = 0; at < walk->bytes; at++) {
        CHECK(walk->owned[at]);
    }
}

void walk_free(struct walk *walk)
{
    free(walk->plain);
    free(walk->owned);
    free(walk->edges);
}

ULONG walk_number(const struct walk *walk, size_t at)
{
    ULONG number;
    CHECK(at <= walk->bytes && walk->bytes - at >= sizeof(number));
    memcpy(&number, walk->buffer + at, sizeof(number));
    return number;
}

void walk_own(struct walk *walk, size_t at, size_t bytes, size_t alignment)
{
    CHECK_EQUAL(at % alignment, 0);
    CHECK(at <= walk->bytes && bytes <= walk->bytes - at);
    for (size_t of = at; of < at + bytes; of++) {
        CHECK(!walk->owned[of]);
        walk->owned[of] = 1;
    }
    walk->edges[at] = 1;
    walk->edges[at + bytes] = 1;
}

/* The offset that the pointer at an offset leads to, which is one of the report. */
static size_t target_of(struct walk *walk, size_t at)
{
    uintptr_t pointer;
    CHECK(at <= walk->bytes && walk->bytes - at >= sizeof(pointer));
    memcpy(&pointer, walk->buffer + at, sizeof(pointer));
    const uintptr_t buffer = (uintptr_t)walk->buffer;
    CHECK(pointer >= buffer);
    CHECK(pointer - buffer < walk->bytes);
    const uintptr_t to = pointer - buffer;
    memcpy(walk->plain + at, &to, sizeof(to));
    return to;
}

size_t walk_pointer(struct walk *walk, size_t at, size_t bytes, size_t alignment)
{
    const size_t to = target_of(walk, at);
    walk_own(walk, to, bytes, alignment);
    return to;
}

static int is_nul(const unsigned char *unit, size_t width)
{
    return unit[0] == 0 && (width == 1 || unit[1] == 0);
}

size_t walk_text_length(const struct walk *walk, size_t at, size_t width)
{
    size_t end = at;
    CHECK(end <= walk->bytes && walk->bytes - end >= width);
    while (!is_nul(walk->buffer + end, width)) {
        end += width;
        CHECK(walk->bytes - end >= width);
    }
    return end + width - at;
}

void walk_text_pointer(struct walk *walk, size_t at, size_t width)
{
    const size_t to = target_of(walk, at);
    walk_own(walk, to, walk_text_length(walk, to, width), width);
}

void walk_null(const struct walk *walk, size_t at)
{
    static const unsigned char zeros[sizeof(void *)];
    CHECK(at <= walk->bytes && walk->bytes - at >= sizeof(zeros));
    CHECK(memcmp(walk->buffer + at, zeros, sizeof(zeros)) == 0);
}

void walk_text_array(const struct walk *walk, size_t at, size_t bytes, size_t width)
{
    CHECK(walk_text_length(walk, at, width) <= bytes);
}

void walk_list(struct walk *walk, size_t width)
{
    size_t at = 0;
    do {
        const size_t length = walk_text_length(walk, at, width);
        /* An empty text ends the list, so only a list of nothing has one. */
        CHECK(length > width || walk->bytes == 2 * width);
        walk_own(walk, at, length, width);
        at += length;
    } while (walk_text_length(walk, at, width) > width);
    walk_own(walk, at, width, width);
}

void walk_login_options(struct walk *walk, size_t at)
{
    const size_t username = at + offsetof(ISCSI_LOGIN_OPTIONS, Username);
    const ULONG length = walk_number(walk, at + offsetof(ISCSI_LOGIN_OPTIONS, UsernameLength));
    CHECK_EQUAL(walk_number(walk, at + offsetof(ISCSI_LOGIN_OPTIONS, Version)), ISCSI_LOGIN_OPTIONS_VERSION);
    if (length > 0) {
        walk_pointer(walk, username, length, 1);
    } else {
        walk_null(walk, username);
    }
    CHECK_EQUAL(walk_number(walk, at + offsetof(ISCSI_LOGIN_OPTIONS, PasswordLength)), 0);
    walk_null(walk, at + offsetof(ISCSI_LOGIN_OPTIONS, Password));
}

void walk_luns(struct walk *walk, size_t at, ULONG luns)
{
    if (luns > 0) {
        walk_pointer(walk, at, luns * sizeof(SCSI_LUN_LIST), _Alignof(SCSI_LUN_LIST));
    } else {
        walk_null(walk, at);
    }
}
