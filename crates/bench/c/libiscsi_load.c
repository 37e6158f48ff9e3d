/*
 * Keeps a number of reads or writes under way on one LUN with libiscsi, and tells the latencies, which
 * libiscsi's own tools do not. Uses the public header and libiscsi's asynchronous calls only.
 *
 *   libiscsi_load URL read|write|rw BYTES DEPTH SECONDS
 *
 * Prints one JSON object: ios, seconds, p50_us, p99_us.
 */
#include <inttypes.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <iscsi/iscsi.h>
#include <iscsi/scsi-lowlevel.h>

/* 64 steps to a doubling: a percentile is off by less than 1 %. */
#define STEP_BITS 6
#define STEPS (1u << STEP_BITS)
#define MAX_BITS 40
#define BUCKETS (STEPS + (MAX_BITS - STEP_BITS) * STEPS)

/* Of a mixed load, this many in a hundred are reads. */
#define READS_IN_HUNDRED 70

struct load {
	struct iscsi_context *iscsi;
	int lun;
	char mode; /* 'r', 'w', or 'm' for mixed */
	uint32_t bytes;
	uint32_t block_size;
	uint64_t places;
	uint64_t random;
	uint64_t end_ns;
	uint64_t ios;
	int under_way;
	uint64_t counts[BUCKETS];
};

struct slot {
	struct load *load;
	uint64_t started_ns;
	struct scsi_iovec iov;
	unsigned char *buffer;
};

static void fail(const char *what, const char *why)
{
	fprintf(stderr, "libiscsi_load: %s: %s\n", what, why);
	exit(1);
}

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void count_latency(struct load *load, uint64_t ns)
{
	unsigned shift;

	if (ns >= (1ull << MAX_BITS))
		ns = (1ull << MAX_BITS) - 1;
	if (ns < STEPS) {
		load->counts[ns]++;
		return;
	}
	shift = 63 - (unsigned)__builtin_clzll(ns) - STEP_BITS;
	load->counts[shift * STEPS + (ns >> shift)]++;
}

static double percentile_us(const struct load *load, double share)
{
	uint64_t rank = (uint64_t)(share * (double)load->ios), seen = 0;
	unsigned i, shift;

	for (i = 0; i < BUCKETS; i++) {
		seen += load->counts[i];
		if (seen > rank)
			break;
	}
	if (i < 2 * STEPS)
		return i / 1000.0;
	shift = i / STEPS - 1;
	return (double)(((uint64_t)(STEPS + i % STEPS) << shift) + (1ull << shift) / 2) / 1000.0;
}

static uint64_t next_random(struct load *load)
{
	load->random ^= load->random << 13;
	load->random ^= load->random >> 7;
	load->random ^= load->random << 17;
	return load->random;
}

static void ended(struct iscsi_context *iscsi, int status, void *data, void *private_data);

static void start(struct slot *slot, uint64_t now)
{
	struct load *load = slot->load;
	uint64_t random = next_random(load);
	uint64_t place = (uint64_t)(((unsigned __int128)random * load->places) >> 64);
	uint64_t lba = place * (load->bytes / load->block_size);
	int reads = load->mode == 'r' || (load->mode == 'm' && random % 100 < READS_IN_HUNDRED);
	struct scsi_task *task;

	slot->started_ns = now;
	slot->iov.iov_base = slot->buffer;
	slot->iov.iov_len = load->bytes;
	if (reads)
		task = iscsi_read16_iov_task(load->iscsi, load->lun, lba, load->bytes,
					     (int)load->block_size, 0, 0, 0, 0, 0, ended, slot,
					     &slot->iov, 1);
	else
		task = iscsi_write16_iov_task(load->iscsi, load->lun, lba, NULL, load->bytes,
					      (int)load->block_size, 0, 0, 0, 0, 0, ended, slot,
					      &slot->iov, 1);
	if (!task)
		fail("start a command", iscsi_get_error(load->iscsi));
	load->under_way++;
}

static void ended(struct iscsi_context *iscsi, int status, void *data, void *private_data)
{
	struct slot *slot = private_data;
	struct load *load = slot->load;
	uint64_t now = now_ns();

	if (status != SCSI_STATUS_GOOD)
		fail("a command", iscsi_get_error(iscsi));
	scsi_free_scsi_task(data);
	count_latency(load, now - slot->started_ns);
	load->ios++;
	load->under_way--;
	if (now < load->end_ns)
		start(slot, now);
}

static void read_capacity(struct load *load)
{
	struct scsi_task *task = iscsi_readcapacity16_sync(load->iscsi, load->lun);
	struct scsi_readcapacity16 *capacity;

	if (!task || task->status != SCSI_STATUS_GOOD)
		fail("READ CAPACITY (16)", iscsi_get_error(load->iscsi));
	capacity = scsi_datain_unmarshall(task);
	if (!capacity)
		fail("READ CAPACITY (16)", "the answer cannot be read");
	load->block_size = capacity->block_length;
	if (!load->block_size || load->bytes % load->block_size)
		fail("BYTES", "not a multiple of the block size");
	load->places = (capacity->returned_lba + 1) / (load->bytes / load->block_size);
	if (!load->places)
		fail("the disk", "too small");
	scsi_free_scsi_task(task);
}

static void run(struct load *load)
{
	while (load->under_way > 0) {
		struct pollfd fd = {
			.fd = iscsi_get_fd(load->iscsi),
			.events = (short)iscsi_which_events(load->iscsi),
		};

		if (poll(&fd, 1, 1000) < 0)
			fail("poll", "interrupted");
		if (iscsi_service(load->iscsi, fd.revents) < 0)
			fail("the session", iscsi_get_error(load->iscsi));
	}
}

static struct iscsi_context *connect_to(const char *text, int *lun)
{
	struct iscsi_context *iscsi = iscsi_create_context("iqn.2026-01.io.github.hawser:libiscsi-load");
	struct iscsi_url *url;

	if (!iscsi)
		fail("libiscsi", "no context");
	url = iscsi_parse_full_url(iscsi, text);
	if (!url)
		fail(text, iscsi_get_error(iscsi));
	iscsi_set_targetname(iscsi, url->target);
	iscsi_set_session_type(iscsi, ISCSI_SESSION_NORMAL);
	if (iscsi_full_connect_sync(iscsi, url->portal, url->lun) != 0)
		fail("the login", iscsi_get_error(iscsi));
	*lun = url->lun;
	iscsi_destroy_url(url);
	return iscsi;
}

int main(int argc, char **argv)
{
	static struct load load;
	struct slot *slots;
	uint64_t begun, over;
	int depth, i;

	if (argc != 6)
		fail("usage", "libiscsi_load URL read|write|rw BYTES DEPTH SECONDS");
	load.mode = strcmp(argv[2], "rw") ? argv[2][0] : 'm';
	load.bytes = (uint32_t)strtoul(argv[3], NULL, 10);
	depth = atoi(argv[4]);
	load.random = 0x9e3779b97f4a7c15u;
	if (!load.bytes || depth < 1)
		fail("usage", "BYTES and DEPTH are at least 1");
	load.iscsi = connect_to(argv[1], &load.lun);
	read_capacity(&load);
	slots = calloc((size_t)depth, sizeof(*slots));
	if (!slots)
		fail("memory", "none left");
	begun = now_ns();
	load.end_ns = begun + (uint64_t)(strtod(argv[5], NULL) * 1e9);
	for (i = 0; i < depth; i++) {
		slots[i].load = &load;
		slots[i].buffer = malloc(load.bytes);
		if (!slots[i].buffer)
			fail("memory", "none left");
		memset(slots[i].buffer, i + 1, load.bytes);
		start(&slots[i], now_ns());
	}
	run(&load);
	over = now_ns();
	printf("{\"ios\": %" PRIu64 ", \"seconds\": %.6f, \"p50_us\": %.3f, \"p99_us\": %.3f}\n",
	       load.ios, (double)(over - begun) / 1e9, percentile_us(&load, 0.5),
	       percentile_us(&load, 0.99));
	iscsi_logout_sync(load.iscsi);
	iscsi_destroy_context(load.iscsi);
	return 0;
}
