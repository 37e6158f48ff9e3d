/* Reports into buffers: the rules of sizes, counts and untouched memory hold for all of them. */
#include "stress.h"

#include <stdlib.h>
#include <string.h>

#define PATTERN 0xa5
/* Bytes behind a buffer that nobody may write to. */
#define FENCE 64
/* A size that was never set. */
#define GARBAGE 0x7fffffffu

static unsigned char *make_buffer(size_t bytes)
{
    unsigned char *buffer = malloc(bytes + FENCE);

    if (buffer == NULL)
        abort();
    memset(buffer, PATTERN, bytes + FENCE);
    return buffer;
}

static int is_untouched(const unsigned char *bytes, size_t count)
{
    size_t i;

    for (i = 0; i < count; i++)
        if (bytes[i] != PATTERN)
            return 0;
    return 1;
}

int is_inside(const struct report *report, const void *pointer, size_t bytes)
{
    const unsigned char *start = pointer;

    return start >= report->buffer && start <= report->buffer + report->bytes &&
           bytes <= (size_t)(report->buffer + report->bytes - start);
}

static void ask(struct thread *t, const struct reporter *reporter, const void *what, ULONG *size, ULONG *count,
                void *buffer)
{
    begin(t, reporter->call);
    end(t, reporter->ask(size, count, buffer, what));
}

static enum verdict judge_report(struct thread *t, const struct subject *subject)
{
    if (subject->refusal != NULL)
        return judge(t, WRONG_HERE, subject->refusal, NONE);
    switch (seen_subject(t, subject)) {
    case PRESENT:
        return judge(t, GOOD, S(0, ERROR_INSUFFICIENT_BUFFER), NONE);
    case ABSENT:
        return judge(t, WRONG, S(subject->missing), NONE);
    default:
        return judge(t, EITHER, S(0, ERROR_INSUFFICIENT_BUFFER, subject->missing), NONE);
    }
}

/* The size that a NULL buffer is told; 0 if there was no answer. */
static ULONG ask_size(struct thread *t, const struct reporter *reporter, const void *what,
                      const struct subject *subject)
{
    ULONG size = GARBAGE, count = GARBAGE;

    ask(t, reporter, what, &size, &count, NULL);
    if (judge_report(t, subject) != DONE)
        return 0;
    if (size == GARBAGE || (t->status == 0) != (size == 0))
        violation(t, "NULL is told the size %u", size);
    if (reporter->has_count && (count == GARBAGE || (count > 0) != (size > 0)))
        violation(t, "NULL is told the size %u and the count %u", size, count);
    return size;
}

/* What holds whatever was asked; `bytes` are those of the buffer. */
static void check_buffer(struct thread *t, const struct report *report, ULONG room, size_t bytes)
{
    if (!is_untouched(report->buffer + bytes, FENCE))
        violation(t, "wrote behind a buffer of %u", room);
    if (t->status != 0 && !is_untouched(report->buffer, bytes))
        violation(t, "wrote to a buffer of %u and failed", room);
    if (t->status == ERROR_INSUFFICIENT_BUFFER && report->size <= room)
        violation(t, "%u are too few, but %u are enough", room, report->size);
    if (t->status == 0 && report->size > room)
        violation(t, "%u are enough, but it took %u", room, report->size);
}

/* Gives a buffer with room for `room` units, which may be at any address. */
static void give_buffer(struct thread *t, const struct reporter *reporter, const void *what,
                        const struct subject *subject, ULONG room)
{
    size_t bytes = room * reporter->unit, odd = percent(t, 10);
    unsigned char *memory = make_buffer(bytes + odd);
    struct report report = {room, GARBAGE, memory + odd, 0};

    ask(t, reporter, what, &report.size, &report.count, report.buffer);
    judge_report(t, subject);
    check_buffer(t, &report, room, bytes);
    if (t->status == 0 && report.size <= room) {
        report.bytes = report.size * reporter->unit;
        if (!reporter->has_count)
            report.count = report.size;
        /* At an odd address it is there too, but cannot be read as the structs that it has. */
        if (!odd)
            reporter->read(t, &report);
    }
    free(memory);
}

void run_report(struct thread *t, const struct reporter *reporter, const void *what, const struct subject *subject)
{
    unsigned kind = below(t, 10);
    ULONG size, spare, count = 0;

    if (kind == 0 && subject->refusal == NULL) {
        ask(t, reporter, what, NULL, &count, NULL);
        judge(t, WRONG_HERE, S(ERROR_INVALID_PARAMETER), NONE);
    } else if (kind <= 1) {
        give_buffer(t, reporter, what, subject, below(t, 3));
    } else {
        size = ask_size(t, reporter, what, subject);
        /* With room for what others add meanwhile, mostly. */
        spare = percent(t, 80) ? (reporter->unit > 8 ? 8 : size / 2 + 4096) : 0;
        if (kind > 2)
            give_buffer(t, reporter, what, subject, size + spare);
    }
}

void run_list(struct thread *t, const struct reporter *reporter)
{
    const struct subject always = {NULL, NULL, NULL, 0};

    run_report(t, reporter, NULL, &always);
}
