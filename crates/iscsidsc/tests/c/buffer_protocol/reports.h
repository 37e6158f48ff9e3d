/* The calls that report something into a buffer of the caller's, as one table. */
#ifndef REPORTS_H
#define REPORTS_H

#include <stdbool.h>
#include <stddef.h>

#include <iscsidsc.h>

#include "walk.h"

/* What a call is asked about. */
enum about { ABOUT_ALL, ABOUT_A_TARGET, ABOUT_A_SESSION };

struct subject {
    const char *name; /* For messages. */
    PSTR target;
    PWSTR wide_target;
    ISCSI_UNIQUE_SESSION_ID session;
};

/* What a call says when there is nothing (section 1.3 of the sheet). */
enum nothing {
    NOTHING_IS_TWO_NULS, /* A list that needs room all the same. */
    NOTHING_IS_SIZE_ZERO, /* Success; up to two NULs go into the buffer. */
    NOTHING_IS_EMPTY, /* Success, size and count 0, nothing is written. */
    NOTHING_WANTS_A_BUFFER /* The same with a buffer; NULL needs room. */
};

struct report {
    const char *name;
    enum about about;
    enum nothing nothing;
    size_t unit; /* How many bytes the size counts as one. */
    size_t alignment; /* Of the buffer, as a caller's of this type has it. */
    bool counts; /* There is a number of elements beside the size. */
    TARGET_INFORMATION_CLASS class;
    /* `count` is used only by calls that have one beside the size. */
    ISDSC_STATUS (*call)(const struct report *report, const struct subject *subject, PULONG size, PULONG count,
                         void *buffer);
    void (*walk)(struct walk *walk);
};

extern const struct report reports[];
extern const size_t reports_length;

#endif
