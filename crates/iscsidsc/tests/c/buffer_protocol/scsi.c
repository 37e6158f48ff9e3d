/* The SCSI commands (section 2.6 of the sheet): a response buffer that keeps to the protocol, and a sense buffer that
 * gets what fits. */
#include <stdio.h>
#include <string.h>

#include "check.h"
#include "guarded.h"
#include "sweep.h"

#define LUN_1 0x100
#define PAGE_OF_NO_DISK 0x7f
#define CHECK_CONDITION 2
#define SENSE_LEAST 18
#define RESPONSE_MOST 512
#define SENSE_MOST 300

struct command {
    const char *name;
    UCHAR evpd;
    UCHAR page;
    ISDSC_STATUS (*send)(const struct command *command, PISCSI_UNIQUE_SESSION_ID session, PUCHAR status,
                         PULONG response_size, PUCHAR response, PULONG sense_size, PUCHAR sense);
};

/* A buffer and its size as a command gets them, and the size that it has written afterwards. */
struct place {
    unsigned char *at;
    ULONG size;
};

struct bench {
    const struct command *command;
    ISCSI_UNIQUE_SESSION_ID session;
    struct guarded response;
    struct guarded sense;
    unsigned which;
};

static ISDSC_STATUS send_inquiry(const struct command *command, PISCSI_UNIQUE_SESSION_ID session, PUCHAR status,
                                 PULONG response_size, PUCHAR response, PULONG sense_size, PUCHAR sense)
{
    return SendScsiInquiry(session, LUN_1, command->evpd, command->page, status, response_size, response, sense_size,
                           sense);
}

static ISDSC_STATUS send_read_capacity(const struct command *command, PISCSI_UNIQUE_SESSION_ID session, PUCHAR status,
                                       PULONG response_size, PUCHAR response, PULONG sense_size, PUCHAR sense)
{
    (void)command;
    return SendScsiReadCapacity(session, LUN_1, status, response_size, response, sense_size, sense);
}

static ISDSC_STATUS send_report_luns(const struct command *command, PISCSI_UNIQUE_SESSION_ID session, PUCHAR status,
                                     PULONG response_size, PUCHAR response, PULONG sense_size, PUCHAR sense)
{
    (void)command;
    return SendScsiReportLuns(session, status, response_size, response, sense_size, sense);
}

static const struct command answered[] = {
    {"SendScsiInquiry", 0, 0, send_inquiry},
    {"SendScsiInquiry(83h)", 1, 0x83, send_inquiry},
    {"SendScsiReadCapacity", 0, 0, send_read_capacity},
    {"SendScsiReportLuns", 0, 0, send_report_luns},
};
static const struct command refused = {"SendScsiInquiry(refused)", 1, PAGE_OF_NO_DISK, send_inquiry};

/* A place in guarded memory that ends at its guard page, for any claim as to its size. */
static struct place place_in(const struct guarded *memory, size_t bytes, ULONG claimed)
{
    return (struct place){guarded_place(memory, bytes, 1, 0), claimed};
}

/* Sends the command; the status that the device gave is `wanted`. */
static ISDSC_STATUS send_command(struct bench *bench, struct place *response, struct place *sense, UCHAR wanted,
                                 const char *how)
{
    UCHAR status = 0xee;
    bench->which = 1 - bench->which;
    guarded_fill(&bench->response, bench->which);
    guarded_fill(&bench->sense, bench->which);
    now = (struct now){bench->command->name, how, response->size, now.calls + 1};
    const ISDSC_STATUS told = bench->command->send(bench->command, &bench->session, &status, &response->size,
                                                   response->at, &sense->size, sense->at);
    CHECK_EQUAL(status, wanted);
    return told;
}

/* A part of guarded memory that may be NULL was written to in its first `bytes` bytes at most. */
static void check_written(const struct bench *bench, const struct guarded *memory, const struct place *place,
                          size_t bytes)
{
    CHECK(guarded_intact(memory, bench->which, place->at == NULL ? memory->guard : place->at, bytes));
}

/* ---- Commands that are answered -------------------------------------------------------------------------- */

/* One answered command, with this room for its response: `needed` bytes, those at `reference`. */
static void try_response(struct bench *bench, const unsigned char *reference, ULONG needed, struct place response,
                         const char *how)
{
    const bool fits = response.at != NULL && response.size >= needed;
    struct place sense = place_in(&bench->sense, SENSE_LEAST, SENSE_LEAST);
    const ISDSC_STATUS status = send_command(bench, &response, &sense, 0, how);
    CHECK_EQUAL(status, fits ? ERROR_SUCCESS : ERROR_INSUFFICIENT_BUFFER);
    CHECK_EQUAL(response.size, needed);
    CHECK_EQUAL(sense.size, SENSE_LEAST);
    check_written(bench, &bench->response, &response, fits ? needed : 0);
    check_written(bench, &bench->sense, &sense, 0);
    CHECK(!fits || memcmp(response.at, reference, needed) == 0);
}

static void sweep_answered(struct bench *bench)
{
    unsigned char reference[RESPONSE_MOST];
    struct place first = {NULL, 0x5a5a5a5a};
    struct place no_sense = {NULL, 0x5a5a5a5a};
    CHECK_EQUAL(send_command(bench, &first, &no_sense, 0, "NULL"), ERROR_INSUFFICIENT_BUFFER);
    const ULONG needed = first.size;
    CHECK(needed > 0 && needed < RESPONSE_MOST);
    struct place ample = {reference, sizeof(reference)};
    CHECK_EQUAL(send_command(bench, &ample, &no_sense, 0, "reference"), ERROR_SUCCESS);
    for (ULONG capacity = 0; capacity <= needed + 1; capacity++) {
        const struct place exact = place_in(&bench->response, capacity, capacity);
        try_response(bench, reference, needed, exact, "exact");
    }
    const ULONG claims[] = {needed + 100, 0x7fffffff, 0x80000000, 0xffffffff};
    for (size_t index = 0; index < sizeof(claims) / sizeof(claims[0]); index++) {
        try_response(bench, reference, needed, (struct place){NULL, claims[index]}, "NULL");
        try_response(bench, reference, needed, place_in(&bench->response, needed, claims[index]), "false claim");
    }
}

/* ---- A command that is refused --------------------------------------------------------------------------- */

/* With so much room for sense data, of which there are `full` bytes, those at `reference`. */
static void try_sense(struct bench *bench, const unsigned char *reference, ULONG full, struct place sense,
                      const char *how)
{
    const size_t fits = sense.at == NULL ? 0 : sense.size < full ? sense.size : full;
    /* Never more than a buffer has, unless that is less than callers are used to. */
    const ULONG capped = sense.size > SENSE_LEAST ? sense.size : SENSE_LEAST;
    const ULONG told = sense.at == NULL || full < capped ? full : capped;
    struct place response = place_in(&bench->response, RESPONSE_MOST, RESPONSE_MOST);
    const ISDSC_STATUS status = send_command(bench, &response, &sense, CHECK_CONDITION, how);
    CHECK_EQUAL(status, ISDSC_SCSI_REQUEST_FAILED);
    CHECK_EQUAL(response.size, 0);
    CHECK_EQUAL(sense.size, told);
    check_written(bench, &bench->response, &response, 0);
    check_written(bench, &bench->sense, &sense, fits);
    CHECK(fits == 0 || memcmp(sense.at, reference, fits) == 0);
}

static void sweep_refused(struct bench *bench)
{
    unsigned char reference[SENSE_MOST];
    struct place no_response = {NULL, 0x5a5a5a5a};
    struct place none = {NULL, 0x5a5a5a5a};
    CHECK_EQUAL(send_command(bench, &no_response, &none, CHECK_CONDITION, "NULL"), ISDSC_SCSI_REQUEST_FAILED);
    CHECK_EQUAL(no_response.size, 0);
    const ULONG full = none.size;
    CHECK(full >= SENSE_LEAST && full < SENSE_MOST);
    struct place ample = {reference, sizeof(reference)};
    CHECK_EQUAL(send_command(bench, &no_response, &ample, CHECK_CONDITION, "reference"), ISDSC_SCSI_REQUEST_FAILED);
    CHECK_EQUAL(ample.size, full);
    CHECK_EQUAL(reference[2] & 0x0f, 5); /* ILLEGAL REQUEST */
    for (ULONG capacity = 0; capacity <= full + 1; capacity++) {
        try_sense(bench, reference, full, place_in(&bench->sense, capacity, capacity), "sense");
    }
    const ULONG claims[] = {0x7fffffff, 0x80000000, 0xffffffff};
    for (size_t index = 0; index < sizeof(claims) / sizeof(claims[0]); index++) {
        try_sense(bench, reference, full, (struct place){NULL, claims[index]}, "no sense buffer");
        try_sense(bench, reference, full, place_in(&bench->sense, full, claims[index]), "false claim of sense");
    }
}

void sweep_scsi(const struct subject *subject)
{
    struct bench bench = {.session = subject->session};
    guarded_open(&bench.response, RESPONSE_MOST);
    guarded_open(&bench.sense, SENSE_MOST);
    for (size_t index = 0; index <= sizeof(answered) / sizeof(answered[0]); index++) {
        const bool last = index == sizeof(answered) / sizeof(answered[0]);
        const unsigned long long before = now.calls;
        bench.command = last ? &refused : &answered[index];
        if (last) {
            sweep_refused(&bench);
        } else {
            sweep_answered(&bench);
        }
        printf("%s %s calls %llu\n", bench.command->name, subject->name, now.calls - before);
    }
    guarded_close(&bench.response);
    guarded_close(&bench.sense);
}
