/* What a thread knows of what it made. */
#include "stress.h"

#include <stdio.h>
#include <string.h>

/* xorshift64*: George Marsaglia, "Xorshift RNGs". */
uint64_t draw(struct thread *t)
{
    t->random ^= t->random >> 12;
    t->random ^= t->random << 25;
    t->random ^= t->random >> 27;
    return t->random * 0x2545f4914f6cdd1du;
}

unsigned below(struct thread *t, unsigned limit)
{
    return (unsigned)((draw(t) >> 32) % limit);
}

int percent(struct thread *t, unsigned chance)
{
    return below(t, 100) < chance;
}

int has_disks(const struct thread *t)
{
    return t->number % 8 == 0;
}

/* The last one's name is as long as a name can be. */
void own_target(const struct thread *t, unsigned slot, char text[TEXT_MAX])
{
    static const char *const ends[TARGETS] = {"", "-b", "-c"};
    size_t length = (size_t)snprintf(text, TEXT_MAX, "iqn.2026-11.test.stress:own-%02u%s", t->number, ends[slot]);

    if (slot == TARGETS - 1) {
        memset(text + length, 'c', MAX_ISCSI_NAME_LEN - length);
        text[MAX_ISCSI_NAME_LEN] = '\0';
    }
}

void shared_target(unsigned number, char text[TEXT_MAX])
{
    snprintf(text, TEXT_MAX, "iqn.2026-11.test.stress:shared-%u", number);
}

struct place own_portal(const struct thread *t, unsigned slot)
{
    struct place place;

    snprintf(place.address, sizeof(place.address), "127.%u.0.%u", slot + 1, t->number + 1);
    place.port = slot == 0 ? (USHORT)world.tgt_port : 1;
    return place;
}

struct place base_portal(void)
{
    struct place place = {"127.0.0.1", (USHORT)world.tgt_port};

    return place;
}

struct place dead_portal(void)
{
    struct place place = {"127.0.0.1", 1};

    return place;
}

void own_server(const struct thread *t, const char *kind, char text[TEXT_MAX])
{
    snprintf(text, TEXT_MAX, "127.9.%u.%u", (unsigned)(unsigned char)kind[0], t->number + 1);
}

enum presence seen(const struct thread *t, const struct thing *thing)
{
    switch (thing->is) {
    case STORED:
        return PRESENT;
    case PASSING:
        if (t->before == thing->since && t->after == thing->since)
            return PRESENT;
        return t->before >= thing->since + 2 ? ABSENT : UNKNOWN;
    default:
        return thing->is;
    }
}

void listed(struct thread *t, struct thing *thing, const char *what, int is_listed, int is_always_stored)
{
    enum presence now = seen(t, thing);

    if (now == PRESENT && !is_listed)
        violation(t, "%s was lost", what);
    else if (now == ABSENT && is_listed)
        violation(t, "%s is there again", what);
    /* What a call of unknown fate did is done once that daemon is gone. */
    if (now != UNKNOWN || !was_up(t) || t->before <= thing->since)
        return;
    if (!is_listed)
        thing->is = ABSENT;
    else if (is_always_stored)
        thing->is = STORED;
}

void added(struct thread *t, struct thing *thing, int persist)
{
    /* With a daemon that ends during the call what passes may be gone at once, or have been added to the next one. */
    thing->is = persist ? STORED : was_up(t) ? PASSING : UNKNOWN;
    thing->since = t->after;
}

void removed(struct thread *t, struct thing *thing)
{
    thing->is = ABSENT;
    thing->since = t->after;
}

void lost_sight(struct thread *t, struct thing *thing)
{
    thing->is = UNKNOWN;
    thing->since = t->after;
}

int may_be_restored(const struct thread *t)
{
    return t->login.is != ABSENT || (t->login_last != 0 && t->login_last >= t->before);
}

enum presence seen_session(const struct thread *t, const struct session *session)
{
    if (t->before > session->epoch + 1)
        return ABSENT;
    if (session->is_sure && t->before == session->epoch && t->after == session->epoch)
        return PRESENT;
    return UNKNOWN;
}

static void forget_old_sessions(struct thread *t)
{
    uint32_t now = atomic_load(&world.shared->epoch);
    unsigned i;

    for (i = 0; i < SESSIONS; i++)
        if (now > t->session[i].epoch + 1)
            t->session[i].is_there = 0;
}

struct session *some_session(struct thread *t)
{
    unsigned start = below(t, SESSIONS), i;

    /* Ids of daemons that are gone are tried too. */
    if (percent(t, 50))
        forget_old_sessions(t);
    for (i = 0; i < SESSIONS; i++) {
        struct session *session = &t->session[(start + i) % SESSIONS];

        if (session->is_there)
            return session;
    }
    return NULL;
}

unsigned sessions_of(const struct thread *t, int is_own)
{
    unsigned i, number = 0;

    for (i = 0; i < SESSIONS; i++)
        number += t->session[i].is_there && t->session[i].is_own == is_own;
    return number;
}

void take_session(struct thread *t, const struct session *session)
{
    struct session *free_place = NULL;
    unsigned i;

    forget_old_sessions(t);
    for (i = 0; i < SESSIONS; i++) {
        if (!t->session[i].is_there)
            free_place = &t->session[i];
        else if (memcmp(&t->session[i].id, &session->id, sizeof(session->id)) == 0)
            return;
    }
    if (free_place == NULL) {
        violation(t, "more sessions than were asked for");
        return;
    }
    *free_place = *session;
    free_place->is_there = 1;
}

enum presence seen_subject(const struct thread *t, const struct subject *subject)
{
    if (subject->session != NULL)
        return seen_session(t, subject->session);
    return subject->thing != NULL ? seen(t, subject->thing) : PRESENT;
}
