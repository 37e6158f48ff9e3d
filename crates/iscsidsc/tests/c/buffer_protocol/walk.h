/* Follows the pointers of a report, and accounts for each of its bytes (section 1.5 of the sheet: pointers lead into
 * the caller's own buffer, arrays are aligned, nothing is there but what is pointed to). */
#ifndef WALK_H
#define WALK_H

#include <stddef.h>

#include <iscsidsc.h>

struct walk {
    const unsigned char *buffer;
    size_t bytes; /* As many as the call said. */
    ULONG count; /* As many elements as the call said. */
    unsigned char *plain; /* The report with offsets in place of pointers: the same wherever it is. */
    unsigned char *owned; /* Not 0: this byte belongs to something that was found. */
    unsigned char *edges; /* Not 0: something begins or ends here. One more than there are bytes. */
};

void walk_begin(struct walk *walk, const void *buffer, size_t bytes, ULONG count);
/* All of the report was found: nothing in it is rubbish. None of the reports needs padding for alignment. */
void walk_end(const struct walk *walk);
void walk_free(struct walk *walk);

/* The 32 bits at an offset. */
ULONG walk_number(const struct walk *walk, size_t at);

/* Something is at this offset: it lies in the report, aligned, and over nothing else. */
void walk_own(struct walk *walk, size_t at, size_t bytes, size_t alignment);

/* The pointer at an offset leads to something of so many bytes: gives its offset. */
size_t walk_pointer(struct walk *walk, size_t at, size_t bytes, size_t alignment);

/* The same for a text with its NUL, of characters of this width. */
void walk_text_pointer(struct walk *walk, size_t at, size_t width);

/* The pointer at an offset is NULL. */
void walk_null(const struct walk *walk, size_t at);

/* A text in an array of so many bytes: it has a NUL. */
void walk_text_array(const struct walk *walk, size_t at, size_t bytes, size_t width);

/* A text at an offset that is not in an array: gives its length in bytes, with its NUL. */
size_t walk_text_length(const struct walk *walk, size_t at, size_t width);

/* A list of texts that takes all of the report (section 1.4). */
void walk_list(struct walk *walk, size_t width);

/* ISCSI_LOGIN_OPTIONS with its user name, and without password. */
void walk_login_options(struct walk *walk, size_t at);

/* So many SCSI_LUN_LISTs behind the pointer at an offset; NULL for none. */
void walk_luns(struct walk *walk, size_t at, ULONG luns);

#endif
