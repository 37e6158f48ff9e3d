/* The buffer protocol of every call that reports something (sections 1.3 to 1.5 of the sheet): each is called with
 * every capacity from none to more than enough, in memory that shows each byte written outside the buffer.
 *
 *     buffer_protocol sweep|some|changing TARGET...
 *
 * "sweep" takes every capacity; "some" those that matter most, and others between them, for valgrind; "changing" calls
 * while lists change. The targets are those to ask about, sessions are all that there are. What it prints is one line
 * for each report: its name, what it was asked about, and numbers with their names. */
#include <iscsidsc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "buffer_protocol/check.h"
#include "buffer_protocol/sweep.h"

/* More than there are in any test. */
#define SESSIONS_MOST 16

struct sessions {
    ULONG length;
    struct subject subjects[SESSIONS_MOST];
    bool connected[SESSIONS_MOST];
    char names[SESSIONS_MOST][32];
};

/* The sessions that there are, in the order in which they are reported. */
static void find_sessions(struct sessions *sessions)
{
    ULONG size = 0;
    ISDSC_STATUS status = GetIScsiSessionListEx(&size, &sessions->length, NULL);
    if (status == ERROR_SUCCESS) {
        CHECK_EQUAL(sessions->length, 0);
        return;
    }
    CHECK_EQUAL(status, ERROR_INSUFFICIENT_BUFFER);
    CHECK(sessions->length <= SESSIONS_MOST);
    ISCSI_SESSION_INFO_EX *info = malloc(size);
    CHECK(info != NULL);
    CHECK_EQUAL(GetIScsiSessionListEx(&size, &sessions->length, info), ERROR_SUCCESS);
    for (ULONG index = 0; index < sessions->length; index++) {
        sessions->connected[index] = info[index].ConnectionCount > 0;
        snprintf(sessions->names[index], sizeof(sessions->names[index]), "session-%u", index);
        sessions->subjects[index] = (struct subject){.name = sessions->names[index], .session = info[index].SessionId};
    }
    free(info);
}

/* An ASCII name in both widths; the wide one is the caller's to free. */
static struct subject target(PSTR name)
{
    const size_t length = strlen(name);
    PWSTR wide = calloc(length + 1, sizeof(WCHAR));
    CHECK(wide != NULL);
    for (size_t at = 0; at < length; at++) {
        wide[at] = (WCHAR)(unsigned char)name[at];
    }
    return (struct subject){.name = name, .target = name, .wide_target = wide};
}

static void sweep_targets(const struct report *report, int targets, char **names, struct options options)
{
    for (int index = 0; index < targets; index++) {
        const struct subject subject = target(names[index]);
        sweep(report, &subject, options);
        free(subject.wide_target);
    }
}

static void sweep_reports(int targets, char **names, struct options options)
{
    const struct subject all = {.name = "all"};
    struct sessions sessions = {.length = 0};
    find_sessions(&sessions);
    for (size_t index = 0; index < reports_length; index++) {
        const struct report *report = &reports[index];
        if (report->about == ABOUT_ALL) {
            sweep(report, &all, options);
        } else if (report->about == ABOUT_A_TARGET) {
            sweep_targets(report, targets, names, options);
        }
        for (ULONG session = 0; report->about == ABOUT_A_SESSION && session < sessions.length; session++) {
            sweep(report, &sessions.subjects[session], options);
        }
    }
    /* With `options.some` the first session stands for the others. */
    const ULONG asked = options.some && sessions.length > 0 ? 1 : sessions.length;
    for (ULONG session = 0; session < asked; session++) {
        if (sessions.connected[session]) {
            sweep_scsi(&sessions.subjects[session]);
        }
    }
}

int main(int count, char **arguments)
{
    CHECK(count >= 2);
    report_faults();
    if (strcmp(arguments[1], "changing") == 0) {
        CHECK(count == 3);
        const struct subject subject = target(arguments[2]);
        sweep_changing(&subject);
        free(subject.wide_target);
    } else {
        const struct options options = {.some = strcmp(arguments[1], "some") == 0};
        CHECK(options.some || strcmp(arguments[1], "sweep") == 0);
        sweep_reports(count - 2, arguments + 2, options);
    }
    printf("everything all calls %llu\n", now.calls);
    return 0;
}
