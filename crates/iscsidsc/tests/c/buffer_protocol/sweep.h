/* Every capacity of every report (section 1.3 of the sheet). */
#ifndef SWEEP_H
#define SWEEP_H

#include <stdbool.h>

#include "reports.h"

struct options {
    /* Not every capacity, but those where something begins or ends, and some between; each also with a buffer of
     * malloc's that is exactly so long, which valgrind watches. */
    bool some;
};

/* Calls a report with every capacity and prints what it needs and how often it was called. */
void sweep(const struct report *report, const struct subject *subject, struct options options);

/* The SCSI commands of a session (section 2.6). */
void sweep_scsi(const struct subject *subject);

/* Reports that another thread changes all the time: every answer is right by itself. */
void sweep_changing(const struct subject *subject);

#endif
