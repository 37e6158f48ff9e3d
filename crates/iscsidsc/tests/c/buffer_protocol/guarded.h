/* Memory that ends where the next byte faults, and that shows each byte that was written. */
#ifndef GUARDED_H
#define GUARDED_H

#include <stdbool.h>
#include <stddef.h>

/* Filled with canaries from its start, a page before the first byte that a buffer can have, up to the guard page. */
struct guarded {
    unsigned char *start;
    unsigned char *guard; /* The first byte that faults. */
    unsigned char *canaries[2]; /* Two fillings, in which each byte differs. */
};

/* For buffers of so many bytes at most. */
void guarded_open(struct guarded *memory, size_t bytes);
void guarded_close(struct guarded *memory);

/* A buffer that ends at the guard page, or as near before it as the alignment allows, or `back` bytes before that. */
unsigned char *guarded_place(const struct guarded *memory, size_t bytes, size_t alignment, size_t back);

/* Fills all of it with one of the two fillings. */
void guarded_fill(const struct guarded *memory, unsigned which);

/* Whether all but `bytes` bytes at `but` are as guarded_fill left them. */
bool guarded_intact(const struct guarded *memory, unsigned which, const unsigned char *but, size_t bytes);

#endif
