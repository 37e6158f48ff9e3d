/* Failures: what was called, with which room, and what did not hold. */
#ifndef CHECK_H
#define CHECK_H

#include <iscsidsc.h>

/* The call that runs now. */
struct now {
    const char *call;
    const char *how; /* Which kind of buffer it has. */
    unsigned long long room; /* In the unit of the call. */
    unsigned long long calls; /* All that were made so far. */
};
extern struct now now;

/* Ends the program. */
_Noreturn void fail(const char *file, int line, const char *what, unsigned long long got, unsigned long long wanted);

/* Turns a fault into a failure that names the call: a byte was written or read behind the buffer. */
void report_faults(void);

#define CHECK(condition)                                                                            \
    do {                                                                                            \
        if (!(condition)) {                                                                         \
            fail(__FILE__, __LINE__, #condition, 0, 1);                                             \
        }                                                                                           \
    } while (0)

#define CHECK_EQUAL(got, wanted)                                                                    \
    do {                                                                                            \
        const unsigned long long got_ = (got);                                                      \
        const unsigned long long wanted_ = (wanted);                                                \
        if (got_ != wanted_) {                                                                      \
            fail(__FILE__, __LINE__, #got, got_, wanted_);                                          \
        }                                                                                           \
    } while (0)

#endif
