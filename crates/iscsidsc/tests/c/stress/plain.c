/* The calls without a text in them, and what the others share. */
#include "stress.h"

#include <string.h>

ISCSI_LOGIN_OPTIONS plain_options(ULONG login_flags)
{
    ISCSI_LOGIN_OPTIONS options;

    /* What no bit says to count is rubbish. */
    memset(&options, 0xff, sizeof(options));
    options.Version = ISCSI_LOGIN_OPTIONS_VERSION;
    options.InformationSpecified = ISCSI_LOGIN_OPTIONS_DEFAULT_TIME_2_WAIT;
    options.DefaultTime2Wait = 2;
    options.LoginFlags = login_flags;
    return options;
}

ISCSI_LOGIN_OPTIONS wrong_options(struct thread *t, ISDSC_STATUS *status)
{
    ISCSI_LOGIN_OPTIONS options = plain_options(ISCSI_LOGIN_FLAG_MULTIPATH_ENABLED);
    static UCHAR text[] = "more than sixteen bytes";

    *status = ERROR_INVALID_PARAMETER;
    switch (below(t, 6)) {
    case 0:
        options.Version = 1;
        break;
    case 1:
        options.InformationSpecified = 0x100;
        break;
    case 2:
        options.InformationSpecified = ISCSI_LOGIN_OPTIONS_AUTH_TYPE;
        options.AuthType = (ISCSI_AUTH_TYPES)9;
        *status = ISDSC_INVALID_LOGON_AUTH_TYPE;
        break;
    case 3:
        options.DefaultTime2Wait = 3601;
        *status = ISDSC_LOGIN_USER_INFO_BAD;
        break;
    case 4:
        options.InformationSpecified = ISCSI_LOGIN_OPTIONS_USERNAME;
        options.UsernameLength = percent(t, 50) ? 5 : 0xffffffff;
        options.Username = NULL;
        break;
    default:
        options.InformationSpecified = ISCSI_LOGIN_OPTIONS_PASSWORD;
        options.Password = text;
        options.PasswordLength = sizeof(text) - 1;
        *status = ISDSC_INVALID_TARGET_CHAP_SECRET;
        break;
    }
    return options;
}

static void version(struct thread *t)
{
    ISCSI_VERSION_INFO info = {99, 99, 99};

    with(t, "-");
    CALL(t, GetIScsiVersionInformation, (&info));
    /* It needs no daemon. */
    judge(t, WRONG_HERE, S(0), NONE);
    if (info.MajorVersion == 99)
        violation(t, "nothing was told");
    with(t, "NULL");
    CALL(t, GetIScsiVersionInformation, (NULL));
    judge(t, WRONG_HERE, S(ERROR_INVALID_PARAMETER), NONE);
}

/* ---- Sessions ---- */

static void log_out(struct thread *t)
{
    ISCSI_UNIQUE_SESSION_ID wild = {draw(t), draw(t)}, zero = {0, 0};
    struct session *session = some_session(t);
    enum presence was;

    if (session == NULL || percent(t, 15)) {
        with(t, "a session that is none");
        switch (below(t, 3)) {
        case 0:
            CALL(t, LogoutIScsiTarget, (NULL));
            judge(t, WRONG_HERE, S(ERROR_INVALID_PARAMETER), NONE);
            break;
        case 1:
            CALL(t, LogoutIScsiTarget, (&zero));
            judge(t, WRONG_HERE, S(ISDSC_INVALID_SESSION_ID), NONE);
            break;
        default:
            CALL(t, LogoutIScsiTarget, (&wild));
            judge(t, WRONG, S(ISDSC_INVALID_SESSION_ID), NONE);
            break;
        }
        return;
    }
    with(t, "session %llx", (unsigned long long)session->id.AdapterSpecific);
    CALL(t, LogoutIScsiTarget, (&session->id));
    was = seen_session(t, session);
    if (was == PRESENT)
        judge(t, GOOD, S(0), S(ISDSC_DEVICE_BUSY_ON_SESSION));
    else if (was == ABSENT)
        judge(t, WRONG, S(ISDSC_INVALID_SESSION_ID), NONE);
    else
        judge(t, EITHER, S(0, ISDSC_INVALID_SESSION_ID, ISDSC_DEVICE_BUSY_ON_SESSION), NONE);
    session->is_there = t->status == ISDSC_DEVICE_BUSY_ON_SESSION;
}

/* A session has one connection unless its login asks for more, and it cannot be removed. */
static void remove_connection(struct thread *t)
{
    ISCSI_UNIQUE_CONNECTION_ID connection = {draw(t), draw(t)};
    ISDSC_STATUS expected = ISDSC_INVALID_CONNECTION_ID;
    struct session *session = some_session(t);
    enum presence was;

    if (session == NULL)
        return;
    if (percent(t, 70)) {
        connection = session->connection;
        expected = ISDSC_CANT_REMOVE_LAST_CONNECTION;
    }
    with(t, "session %llx, connection %llx", (unsigned long long)session->id.AdapterSpecific,
         (unsigned long long)connection.AdapterSpecific);
    CALL(t, RemoveIScsiConnection, (&session->id, &connection));
    was = seen_session(t, session);
    if (was == PRESENT)
        judge(t, WRONG, S(expected), NONE);
    else if (was == ABSENT)
        judge(t, WRONG, S(ISDSC_INVALID_SESSION_ID), NONE);
    else
        judge(t, EITHER,
              S(expected, ISDSC_INVALID_SESSION_ID, ISDSC_INVALID_CONNECTION_ID, ISDSC_REMOVE_CONNECTION_IN_PROGRESS),
              NONE);
    with(t, "NULL");
    CALL(t, RemoveIScsiConnection, (&session->id, NULL));
    judge(t, WRONG_HERE, S(ERROR_INVALID_PARAMETER), NONE);
}

static ISDSC_STATUS ask_sessions_ex(ULONG *size, ULONG *count, void *buffer, const void *what)
{
    (void)what;
    return GetIScsiSessionListEx(size, count, buffer);
}

static void read_sessions_ex(struct thread *t, const struct report *report)
{
    const ISCSI_SESSION_INFO_EX *sessions = (const void *)report->buffer;
    ULONG i;

    if (!is_inside(report, sessions, report->count * sizeof(*sessions))) {
        violation(t, "%u sessions in %u bytes", report->count, report->size);
        return;
    }
    for (i = 0; i < report->count; i++)
        if (sessions[i].ConnectionCount > 0 &&
            !is_inside(report, sessions[i].Connections,
                       sessions[i].ConnectionCount * sizeof(*sessions[i].Connections)))
            violation(t, "connections are not in the buffer");
}

static void sessions_ex(struct thread *t)
{
    const struct reporter reporter = {E_GetIScsiSessionListEx, ask_sessions_ex, read_sessions_ex, 1, 1};

    with(t, "-");
    run_list(t, &reporter);
}

/* ---- SCSI ---- */

/* A command to LUN 1, with room for the answer or without. */
struct command {
    UCHAR scsi_status;
    ULONG response_size, sense_size;
    UCHAR response[255], sense[18];
};

static void judge_scsi(struct thread *t, const struct session *session, int is_refused)
{
    enum presence was = seen_session(t, session);

    if (was == ABSENT)
        judge(t, WRONG, S(ISDSC_INVALID_SESSION_ID), NONE);
    else if (was == UNKNOWN)
        judge(t, EITHER,
              S(0, ERROR_INSUFFICIENT_BUFFER, ISDSC_SCSI_REQUEST_FAILED, ISDSC_INVALID_SESSION_ID,
                ISDSC_NO_CONNECTION_AVAILABLE, ISDSC_TRANSPORT_ERROR),
              NONE);
    else if (is_refused)
        judge(t, WRONG, S(ISDSC_SCSI_REQUEST_FAILED), NONE);
    else
        judge(t, GOOD, S(0, ERROR_INSUFFICIENT_BUFFER), NONE);
}

static void scsi(struct thread *t)
{
    struct session *session = some_session(t);
    int is_sizing = percent(t, 30), is_refused = 0;
    struct command c = {0xff, is_sizing ? 3 : sizeof(c.response), sizeof(c.sense), {0}, {0}};
    PUCHAR response = is_sizing && percent(t, 50) ? NULL : c.response;
    ULONGLONG lun = 0x100;

    if (session == NULL)
        return;
    with(t, "session %llx", (unsigned long long)session->id.AdapterSpecific);
    switch (below(t, 4)) {
    case 0:
        CALL(t, SendScsiInquiry,
             (&session->id, lun, 0, 0, &c.scsi_status, &c.response_size, response, &c.sense_size, c.sense));
        break;
    case 1:
        /* No such page. */
        is_refused = 1;
        CALL(t, SendScsiInquiry,
             (&session->id, lun, 1, 0xfe, &c.scsi_status, &c.response_size, response, &c.sense_size, c.sense));
        break;
    case 2:
        CALL(t, SendScsiReadCapacity,
             (&session->id, lun, &c.scsi_status, &c.response_size, response, &c.sense_size, c.sense));
        break;
    default:
        CALL(t, SendScsiReportLuns,
             (&session->id, &c.scsi_status, &c.response_size, response, &c.sense_size, c.sense));
        break;
    }
    judge_scsi(t, session, is_refused);
    if (t->status == 0 && (c.scsi_status != 0 || c.response_size == 0 || c.sense_size != 18))
        violation(t, "SCSI status %u, %u bytes, sense of %u", c.scsi_status, c.response_size, c.sense_size);
    if (t->status == ISDSC_SCSI_REQUEST_FAILED && (c.scsi_status == 0 || c.sense_size < 18))
        violation(t, "SCSI status %u, sense of %u", c.scsi_status, c.sense_size);
}

static void wrong_scsi(struct thread *t)
{
    ISCSI_UNIQUE_SESSION_ID wild = {draw(t), draw(t)}, zero = {0, 0};
    struct command c = {0xff, sizeof(c.response), sizeof(c.sense), {0}, {0}};

    with(t, "wrong arguments");
    switch (below(t, 4)) {
    case 0:
        CALL(t, SendScsiReportLuns, (&wild, &c.scsi_status, &c.response_size, c.response, &c.sense_size, c.sense));
        judge(t, WRONG, S(ISDSC_INVALID_SESSION_ID), NONE);
        break;
    case 1:
        CALL(t, SendScsiReadCapacity,
             (&zero, 0x100, &c.scsi_status, &c.response_size, c.response, &c.sense_size, c.sense));
        judge(t, WRONG_HERE, S(ISDSC_INVALID_SESSION_ID), NONE);
        break;
    case 2:
        CALL(t, SendScsiInquiry, (&wild, 0, 0, 0, &c.scsi_status, NULL, c.response, &c.sense_size, c.sense));
        judge(t, WRONG_HERE, S(ERROR_INVALID_PARAMETER), NONE);
        break;
    default:
        CALL(t, SendScsiInquiry, (NULL, 0, 0, 0, &c.scsi_status, &c.response_size, NULL, &c.sense_size, c.sense));
        judge(t, WRONG_HERE, S(ERROR_INVALID_PARAMETER), NONE);
        break;
    }
}

/* ---- Secrets ---- */

static void secrets(struct thread *t)
{
    static UCHAR bytes[2000] = "a secret of some length that is cut";
    /* Length, and what the CHAP secret, the RADIUS secret and the group's key of that length are answered. */
    static const struct {
        ULONG length;
        ISDSC_STATUS chap, radius, group;
    } lengths[] = {
        {0, 0, 0, 0},
        {5, ISDSC_SHORT_CHAP_SECRET, ERROR_INVALID_PARAMETER, 0},
        {12, 0, ERROR_INVALID_PARAMETER, 0},
        {16, 0, ERROR_INVALID_PARAMETER, 0},
        {17, ISDSC_INVALID_INITIATOR_CHAP_SECRET, ERROR_INVALID_PARAMETER, 0},
        {22, ISDSC_INVALID_INITIATOR_CHAP_SECRET, 0, 0},
        {26, ISDSC_INVALID_INITIATOR_CHAP_SECRET, 0, 0},
        {27, ISDSC_INVALID_INITIATOR_CHAP_SECRET, ERROR_INVALID_PARAMETER, 0},
        {1500, ISDSC_INVALID_INITIATOR_CHAP_SECRET, ERROR_INVALID_PARAMETER, ERROR_INVALID_PARAMETER},
    };
    unsigned which = below(t, sizeof(lengths) / sizeof(lengths[0]));
    ULONG length = lengths[which].length;
    ISDSC_STATUS expected;

    with(t, "%u bytes", length);
    switch (below(t, 3)) {
    case 0:
        CALL(t, SetIScsiInitiatorCHAPSharedSecret, (length, bytes));
        expected = lengths[which].chap;
        break;
    case 1:
        CALL(t, SetIScsiInitiatorRADIUSSharedSecret, (length, bytes));
        expected = lengths[which].radius;
        break;
    default:
        CALL(t, SetIScsiGroupPresharedKey, (length, bytes, (BOOLEAN)percent(t, 50)));
        expected = lengths[which].group;
        break;
    }
    judge(t, expected == 0 || ISDSC_STATUS_IS_WARNING(expected) ? GOOD : WRONG_HERE, S(expected), NONE);
}

static void wrong_secrets(struct thread *t)
{
    ULONG length = percent(t, 50) ? 14 : 0xffffffff;

    with(t, "%u bytes at NULL", length);
    switch (below(t, 3)) {
    case 0:
        CALL(t, SetIScsiInitiatorCHAPSharedSecret, (length, NULL));
        break;
    case 1:
        CALL(t, SetIScsiInitiatorRADIUSSharedSecret, (length, NULL));
        break;
    default:
        CALL(t, SetIScsiGroupPresharedKey, (length, NULL, TRUE));
        break;
    }
    judge(t, WRONG_HERE, S(ERROR_INVALID_PARAMETER), NONE);
}

/* ---- The list of bound devices ---- */

static void bind_all(struct thread *t)
{
    with(t, "-");
    switch (below(t, 3)) {
    case 0:
        CALL(t, SetupPersistentIScsiDevices, ());
        break;
    case 1:
        CALL(t, SetupPersistentIScsiVolumes, ());
        break;
    default:
        CALL(t, ClearPersistentIScsiDevices, ());
        break;
    }
    judge(t, GOOD, S(0), NONE);
}

const struct family families_plain[] = {
    {version, 2},     {log_out, 10},  {remove_connection, 5}, {sessions_ex, 4}, {scsi, 24},
    {wrong_scsi, 3},  {secrets, 12},  {wrong_secrets, 2},     {bind_all, 8},    {NULL, 0},
};
