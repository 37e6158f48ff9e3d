/*
 * Many threads call everything at random while the daemon comes and goes, and know what each answer may be.
 *
 * Each thread has targets, portals and servers that nobody else changes, and keeps a model of them (struct thing): what it
 * stored with success must be there whenever it looks, also after the daemon was killed; what it removed must not.
 * So most answers are known beforehand, and any other is a violation.
 *
 * A shared file says how the daemon is: its first word is the epoch, odd from before the daemon is taken down until
 * after its successor has answered. A call that began and ended in one even epoch was made while it was up.
 */
#ifndef STRESS_H
#define STRESS_H

#include <iscsidsc.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "exports.h"

#define THREADS 32
/* Static targets of a thread: the first is at tgt, the others are names only. */
#define TARGETS 3
/* Send-targets portals of a thread: the first is tgt's, at the other nobody answers. */
#define PORTALS 2
/* Targets at tgt that all threads log in to. */
#define SHARED_TARGETS 4
/* Sessions that a thread has at once, and those of them with targets that all share: tgt and the daemon have
   limits too. */
#define SESSIONS 4
#define SHARED_SESSIONS 2
#define TEXT_MAX 300

/* How the daemon is, in a file that the test maps too. */
struct shared {
    _Atomic uint32_t epoch;
    _Atomic uint32_t phase;
    _Atomic uint32_t called; /* how many exports have been called: the test waits for all of them */
};

/* What the threads do: nothing is measured yet; all is measured; they tidy up and end. */
enum phase { WARM_UP, MAIN, TIDY };

/* Whether something that a thread added is there. */
enum presence {
    ABSENT,
    PASSING, /* until the daemon ends: added in the epoch `since` */
    STORED,
    UNKNOWN, /* the fate of a call that ended in the epoch `since` is not known */
    PRESENT /* never kept: PASSING or STORED, seen from one call */
};

struct thing {
    enum presence is;
    uint32_t since;
    int hidden; /* a static target: -1 if that is not known */
    ULONGLONG flags; /* an IKE key: those that were set with it */
};

/* A session that the thread logged in. */
struct session {
    ISCSI_UNIQUE_SESSION_ID id;
    ISCSI_UNIQUE_CONNECTION_ID connection;
    uint32_t epoch;
    int is_sure; /* the login was made while the daemon was up */
    int is_own; /* with the thread's own target, else with a shared one */
    int is_data;
    int is_there;
};

struct statistics {
    uint64_t calls;
    uint64_t ok; /* good arguments, daemon up, done; also the answer to a question for a size */
    uint64_t failed; /* good arguments, daemon up, not done for a reason of the sheet */
    uint64_t refused; /* bad arguments, or a state that does not allow it: the documented refusal */
    uint64_t away; /* not wholly while the daemon was up */
    double slowest; /* seconds */
};

struct thread {
    unsigned number;
    uint64_t random;
    struct statistics of[EXPORT_COUNT];
    /* The call under way, or the last one. */
    enum export call;
    _Atomic int is_calling;
    ISDSC_STATUS status;
    uint32_t before, after;
    struct timespec begun;
    char arguments[TEXT_MAX];
    /* Texts of the present step. */
    union {
        CHAR narrow[8][5000];
        WCHAR wide[8][5000];
    } texts;
    unsigned next_text;
    /* The model. */
    struct thing target[TARGETS], portal[PORTALS], isns, radius, ike[2], login;
    uint32_t login_last; /* epoch in which the persistent login was there last */
    struct session session[SESSIONS];
    char device[MAX_PATH]; /* path of a disk of the own target */
};

/* ---- The world (stress.c) ---- */

struct world {
    struct shared *shared;
    uint64_t seed;
    unsigned tgt_port; /* of the tgt with the shared targets, which is discovered */
    unsigned own_port; /* of the tgt with the targets of the threads, which is not */
    double patience; /* factor of all limits of time */
    long more_kib; /* how much more memory there may be at the end than after the warm-up */
};
extern struct world world;

const char *export_name(enum export call);
/* One random step of a thread. */
void step(struct thread *t);
/* Takes down what the thread made. */
void tidy(struct thread *t);

/* ---- Random numbers and names (model.c) ---- */

uint64_t draw(struct thread *t);
/* 0 to below - 1 */
unsigned below(struct thread *t, unsigned below);
/* true in so many of a hundred cases */
int percent(struct thread *t, unsigned chance);

/* Disks are few: showing them and taking them away is slow, and would leave little time for the rest. */
int has_disks(const struct thread *t);
void own_target(const struct thread *t, unsigned slot, char text[TEXT_MAX]);
void shared_target(unsigned number, char text[TEXT_MAX]);
/* Address and port of a portal. */
struct place {
    char address[64];
    USHORT port;
};
struct place own_portal(const struct thread *t, unsigned slot);
struct place base_portal(void);
struct place dead_portal(void);
void own_server(const struct thread *t, const char *kind, char text[TEXT_MAX]);

/* How the call saw a thing. */
enum presence seen(const struct thread *t, const struct thing *thing);
/* A report listed the thing, or did not. */
void listed(struct thread *t, struct thing *thing, const char *what, int is_listed, int is_always_stored);
/* What a call to add or remove it made of it. */
void added(struct thread *t, struct thing *thing, int persist);
void removed(struct thread *t, struct thing *thing);
void lost_sight(struct thread *t, struct thing *thing);

/* The own target may have a session that the thread does not know of, made from the persistent login. */
int may_be_restored(const struct thread *t);
/* A session for a call, NULL if there is none; those of daemons that are gone are forgotten now and then. */
struct session *some_session(struct thread *t);
unsigned sessions_of(const struct thread *t, int is_own);
/* Takes a session in, if there is room and it is new. */
void take_session(struct thread *t, const struct session *session);
/* How the call saw a session: PRESENT, ABSENT or UNKNOWN. */
enum presence seen_session(const struct thread *t, const struct session *session);

/* What a call is about: its answer depends on whether that is there. */
struct subject {
    const ISDSC_STATUS *refusal; /* for arguments that the library refuses; NULL if they are good */
    const struct thing *thing; /* NULL: it is always there */
    const struct session *session; /* NULL: it is about none */
    ISDSC_STATUS missing; /* the answer if it is not there */
};

/* ---- Calls and their judgement (judge.c) ---- */

#define END 0xdeadbeefu
#define S(...) ((const ISDSC_STATUS[]){__VA_ARGS__, END})
#define NONE ((const ISDSC_STATUS[]){END})

/* For subjects. */
extern const ISDSC_STATUS invalid_parameter[], invalid_name[];

enum intent {
    GOOD, /* must succeed with one of the expected; `possible` are failures for reasons of the sheet */
    EITHER, /* depends on what the thread cannot know */
    WRONG, /* must be refused by the service */
    WRONG_HERE /* must be refused by the library, daemon or not */
};

enum verdict { DONE, REFUSED, FATE_UNKNOWN };

/* Says what is called with what, for a violation. */
void with(struct thread *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
void begin(struct thread *t, enum export call);
void end(struct thread *t, ISDSC_STATUS status);
#define CALL(t, name, arguments) CALL_EXPANDED(t, name, arguments)
#define CALL_EXPANDED(t, name, arguments) (begin(t, E_##name), end(t, name arguments))

/* Whether the call was made wholly while the daemon was up. */
int was_up(const struct thread *t);
/* How the call saw its subject. */
enum presence seen_subject(const struct thread *t, const struct subject *subject);
/* Judges a call that removes a thing, and takes note. */
enum verdict judge_removal(struct thread *t, struct thing *thing, ISDSC_STATUS missing);
/* Takes note of a call that adds one. `verdict` REFUSED: it was not added. */
void note_added(struct thread *t, struct thing *thing, int persist, enum verdict verdict);
/* Counts the call, and is a violation if its status is not allowed. */
enum verdict judge(struct thread *t, enum intent intent, const ISDSC_STATUS *expected, const ISDSC_STATUS *possible);
void violation(struct thread *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
unsigned violations(void);

/* ---- Reports into buffers (report.c) ---- */

struct report {
    ULONG size; /* as the call tells it */
    ULONG count; /* likewise; as many as `size` where only a number of elements is told */
    unsigned char *buffer;
    size_t bytes; /* how many of them were filled */
};

/* Asks the report; `what` is the caller's. */
typedef ISDSC_STATUS (*asker)(ULONG *size, ULONG *count, void *buffer, const void *what);
/* Looks at a report that was given. */
typedef void (*reader)(struct thread *t, const struct report *report);

struct reporter {
    enum export call;
    asker ask;
    reader read;
    size_t unit; /* bytes of what the size counts */
    int has_count; /* beside the size there is a count */
};

/* Asks with NULL, with a buffer, with one that is too small, without a place for the size. */
void run_report(struct thread *t, const struct reporter *reporter, const void *what, const struct subject *subject);
/* The same for what is always there. */
void run_list(struct thread *t, const struct reporter *reporter);
/* A pointer of a report leads to so many bytes of its buffer. */
int is_inside(const struct report *report, const void *pointer, size_t bytes);

/* ---- Families of calls (narrow.c, wide.c, plain.c) ---- */

struct family {
    void (*run)(struct thread *t);
    unsigned weight;
};
extern const struct family families_narrow[], families_wide[], families_plain[];

ISCSI_LOGIN_OPTIONS plain_options(ULONG login_flags);
/* Options that are refused with `status`. */
ISCSI_LOGIN_OPTIONS wrong_options(struct thread *t, ISDSC_STATUS *status);

#endif
