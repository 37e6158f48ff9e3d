/*
 * stress SHARED-FILE TGT-PORT OWN-PORT SEED PATIENCE MORE-KIB: the program of the test `stress` (tests/stress.rs), which
 * starts the daemon, takes it down and starts it again meanwhile. Its manual is in stress.h.
 */
#include "stress.h"

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* How much more there may be at the end than after the warm-up, when no thread of ours runs. */
#define MORE_DESCRIPTORS 4 /* the library has four connections, of which each may just be missing */
#define MORE_THREADS 0
/* Of a hundred calls with good arguments, while the daemon is up, so many succeed. */
#define SHARE 90
/* Good calls of one export below which its own share tells nothing. */
#define ENOUGH 50
/* A call that takes so many seconds hangs. */
#define HANGS 120

struct world world;
static struct thread threads[THREADS];

struct usage {
    long descriptors, threads, kib;
};

/* ---- Steps ---- */

static const struct family *const kinds[] = {families_narrow, families_wide, families_plain};

static unsigned weight_of(const struct family *family)
{
    unsigned sum = 0;

    for (; family->run != NULL; family++)
        sum += family->weight;
    return sum;
}

void step(struct thread *t)
{
    unsigned sum = 0, i, drawn;
    const struct family *family;

    for (i = 0; i < 3; i++)
        sum += weight_of(kinds[i]);
    drawn = below(t, sum);
    for (i = 0; i < 3; i++)
        for (family = kinds[i]; family->run != NULL; family++) {
            if (drawn < family->weight) {
                family->run(t);
                return;
            }
            drawn -= family->weight;
        }
}

static uint32_t phase(void)
{
    return atomic_load(&world.shared->phase);
}

static void *run(void *argument)
{
    struct thread *t = argument;
    uint32_t own = phase();

    if (own == TIDY)
        tidy(t);
    while (own != TIDY && phase() == own && violations() == 0)
        step(t);
    return NULL;
}

/* ---- What the process has ---- */

static long entries_of(const char *path)
{
    DIR *directory = opendir(path);
    long number = 0;

    if (directory == NULL)
        return -1;
    while (readdir(directory) != NULL)
        number++;
    closedir(directory);
    /* Without the two dots. */
    return number - 2;
}

static long kib_of_memory(void)
{
    FILE *file = fopen("/proc/self/statm", "r");
    long size = 0, resident = 0;

    if (file == NULL || fscanf(file, "%ld %ld", &size, &resident) != 2)
        resident = -1;
    if (file != NULL)
        fclose(file);
    return resident * (sysconf(_SC_PAGESIZE) / 1024);
}

/* The kernel takes a moment to forget threads that have ended. */
static struct usage usage(long most_threads)
{
    struct timespec pause = {0, 10000000};
    struct usage usage;
    unsigned tries;

    for (tries = 0; tries < 1000 && entries_of("/proc/self/task") > most_threads; tries++)
        nanosleep(&pause, NULL);
    /* The directory itself is open while it is read. */
    usage.descriptors = entries_of("/proc/self/fd") - 1;
    usage.threads = entries_of("/proc/self/task");
    usage.kib = kib_of_memory();
    return usage;
}

/* ---- Threads ---- */

/* A thread that hangs could not be joined: waits until all have ended their calls or one takes too long. */
static void watch(void)
{
    struct timespec pause = {0, 200000000}, now;
    uint32_t own = phase();
    unsigned i;

    while (phase() == own && violations() == 0) {
        nanosleep(&pause, NULL);
        clock_gettime(CLOCK_MONOTONIC, &now);
        for (i = 0; i < THREADS; i++)
            if (atomic_load(&threads[i].is_calling) &&
                now.tv_sec > threads[i].begun.tv_sec + (time_t)(HANGS * world.patience))
                violation(&threads[i], "hangs");
    }
}

/* Runs all threads until the phase is over, or until they have tidied up. */
static void run_threads(void)
{
    pthread_t ids[THREADS];
    unsigned i;
    int is_tidy = phase() == TIDY;

    for (i = 0; i < THREADS; i++)
        if (pthread_create(&ids[i], NULL, run, &threads[i]) != 0)
            abort();
    if (!is_tidy)
        watch();
    for (i = 0; i < THREADS; i++)
        pthread_join(ids[i], NULL);
}

/* ---- The end ---- */

static int print_export(enum export call, struct statistics *sum)
{
    struct statistics of = {0, 0, 0, 0, 0, 0.0};
    uint64_t good;
    unsigned i;

    for (i = 0; i < THREADS; i++) {
        const struct statistics *own = &threads[i].of[call];

        of.calls += own->calls;
        of.ok += own->ok;
        of.failed += own->failed;
        of.refused += own->refused;
        of.away += own->away;
        if (own->slowest > of.slowest)
            of.slowest = own->slowest;
    }
    printf("%-36s %8llu %8llu %8llu %8llu %8llu %9.3f\n", export_name(call), (unsigned long long)of.calls,
           (unsigned long long)of.ok, (unsigned long long)of.failed, (unsigned long long)of.refused,
           (unsigned long long)of.away, of.slowest);
    sum->calls += of.calls;
    sum->ok += of.ok;
    sum->failed += of.failed;
    sum->refused += of.refused;
    sum->away += of.away;
    good = of.ok + of.failed;
    if (of.calls > 0 && (good < ENOUGH || of.ok * 100 >= good * SHARE))
        return 1;
    printf("NOT ENOUGH: %s\n", export_name(call));
    return 0;
}

/* The table; whether it is as it must be. */
static int print_table(void)
{
    struct statistics sum = {0, 0, 0, 0, 0, 0.0};
    int is_good = 1, i;

    printf("%-36s %8s %8s %8s %8s %8s %9s\n", "export", "calls", "ok", "failed", "refused", "away", "slowest/s");
    for (i = 0; i < EXPORT_COUNT; i++)
        is_good &= print_export((enum export)i, &sum);
    printf("sum: %d exports, %llu calls, %llu ok, %llu failed, %llu refused as documented, %llu while the daemon was "
           "away; %.2f %% of the good ones succeeded\n",
           EXPORT_COUNT, (unsigned long long)sum.calls, (unsigned long long)sum.ok, (unsigned long long)sum.failed,
           (unsigned long long)sum.refused, (unsigned long long)sum.away,
           100.0 * (double)sum.ok / (double)(sum.ok + sum.failed));
    return is_good && sum.ok * 100 >= (sum.ok + sum.failed) * SHARE;
}

static int print_usage(const struct usage *before, const struct usage *after)
{
    printf("after the warm-up: %ld descriptors, %ld threads, %ld KiB; at the end: %ld, %ld, %ld\n",
           before->descriptors, before->threads, before->kib, after->descriptors, after->threads, after->kib);
    return before->kib > 0 && after->descriptors <= before->descriptors + MORE_DESCRIPTORS &&
           after->threads <= before->threads + MORE_THREADS && after->kib <= before->kib + world.more_kib;
}

static void set_up(char **arguments)
{
    int file = open(arguments[1], O_RDWR);
    unsigned i;

    if (file < 0)
        abort();
    world.shared = mmap(NULL, sizeof(*world.shared), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    close(file);
    if (world.shared == MAP_FAILED)
        abort();
    world.tgt_port = (unsigned)atoi(arguments[2]);
    world.own_port = (unsigned)atoi(arguments[3]);
    world.seed = strtoull(arguments[4], NULL, 10);
    world.patience = strtod(arguments[5], NULL);
    world.more_kib = atol(arguments[6]);
    printf("seed %llu\n", (unsigned long long)world.seed);
    for (i = 0; i < THREADS; i++) {
        threads[i].number = i;
        threads[i].random = (world.seed ^ ((uint64_t)(i + 1) * 0x9e3779b97f4a7c15u)) | 1;
    }
}

int main(int count, char **arguments)
{
    struct usage warm, last;
    int is_good;

    if (count != 7)
        return 2;
    set_up(arguments);
    run_threads(); /* WARM_UP */
    warm = usage(2);
    if (violations() == 0)
        run_threads(); /* MAIN */
    if (violations() == 0)
        run_threads(); /* TIDY */
    last = usage(2);
    is_good = print_table();
    is_good &= print_usage(&warm, &last);
    printf("%u violations\n", violations());
    return is_good && violations() == 0 ? 0 : 1;
}
