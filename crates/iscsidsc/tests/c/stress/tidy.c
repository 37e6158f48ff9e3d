/* The end: each thread takes down what it made, and nothing of it may be left. */
#include "stress.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The daemon stays up: a call is done, or there was nothing to do. */
static void expect(struct thread *t, ISDSC_STATUS missing)
{
    judge(t, EITHER, S(0, missing), NONE);
}

static void remove_things(struct thread *t)
{
    char text[TEXT_MAX];
    unsigned i;

    own_target(t, 0, text);
    with(t, "%s", text);
    CALL(t, RemoveIScsiPersistentTargetA, (NULL, ISCSI_ALL_INITIATOR_PORTS, text, NULL));
    expect(t, ISDSC_TARGET_NOT_FOUND);
    for (i = 0; i < TARGETS; i++) {
        own_target(t, i, text);
        with(t, "%s", text);
        CALL(t, RemoveIScsiStaticTargetA, (text));
        judge_removal(t, &t->target[i], ISDSC_TARGET_NOT_FOUND);
    }
    for (i = 0; i < PORTALS; i++) {
        struct place place = own_portal(t, i);
        ISCSI_TARGET_PORTALA portal;

        memset(&portal, 0, sizeof(portal));
        memcpy(portal.Address, place.address, strlen(place.address));
        portal.Socket = place.port;
        with(t, "%s:%u", place.address, place.port);
        CALL(t, RemoveIScsiSendTargetPortalA, (NULL, ISCSI_ALL_INITIATOR_PORTS, &portal));
        judge_removal(t, &t->portal[i], ISDSC_PORTAL_NOT_FOUND);
    }
    own_server(t, "isns", text);
    CALL(t, RemoveISNSServerA, (text));
    judge_removal(t, &t->isns, ISDSC_ISNS_SERVER_NOT_FOUND);
    own_server(t, "radius", text);
    CALL(t, RemoveRadiusServerA, (text));
    judge_removal(t, &t->radius, ERROR_NOT_FOUND);
}

/* Asks for the sessions; the caller frees them. */
static ISCSI_SESSION_INFOA *ask_sessions(struct thread *t, ULONG *count)
{
    ULONG size = 1 << 16;

    with(t, "-");
    for (;;) {
        ISCSI_SESSION_INFOA *sessions = malloc(size);

        if (sessions == NULL)
            abort();
        CALL(t, GetIScsiSessionListA, (&size, count, sessions));
        if (judge(t, GOOD, S(0, ERROR_INSUFFICIENT_BUFFER), NONE) == DONE && t->status == 0)
            return sessions;
        free(sessions);
        if (t->status != ERROR_INSUFFICIENT_BUFFER)
            return NULL;
    }
}

static int is_own(const struct thread *t, const ISCSI_SESSION_INFOA *session)
{
    char text[TEXT_MAX];
    unsigned i;

    own_target(t, 0, text);
    if (strcmp(session->TargetName, text) == 0)
        return 1;
    for (i = 0; i < SESSIONS; i++)
        if (t->session[i].is_there && memcmp(&t->session[i].id, &session->SessionId, sizeof(session->SessionId)) == 0)
            return 1;
    return 0;
}

/* Logs out all sessions of the thread; gives how many there were. */
static int log_out_all(struct thread *t)
{
    ULONG count = 0, i;
    int found = 0;
    ISCSI_SESSION_INFOA *sessions = ask_sessions(t, &count);

    for (i = 0; sessions != NULL && i < count; i++) {
        if (!is_own(t, &sessions[i]))
            continue;
        found++;
        with(t, "session %llx", (unsigned long long)sessions[i].SessionId.AdapterSpecific);
        CALL(t, LogoutIScsiTarget, (&sessions[i].SessionId));
        judge(t, GOOD, S(0), S(ISDSC_DEVICE_BUSY_ON_SESSION));
    }
    free(sessions);
    return found;
}

void tidy(struct thread *t)
{
    struct timespec pause = {0, 100000000};
    unsigned tries;

    remove_things(t);
    /* A disk may be busy for a moment. */
    for (tries = 0; tries < 100; tries++) {
        if (log_out_all(t) == 0)
            return;
        nanosleep(&pause, NULL);
    }
    violation(t, "sessions are left");
}
