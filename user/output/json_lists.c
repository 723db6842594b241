// SPDX-License-Identifier: Apache-2.0
/* Lists that are not of samples: file systems, processes, events. */
#include "output/json.h"

#include <errno.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/mem.h"

#define PROCESSES_A_PIECE 16
#define RECORDS_A_PIECE 32

static void put_key(struct cgm_buf *b, const char *key)
{
	cgm_buf_char(b, '"');
	cgm_buf_str(b, key);
	cgm_buf_lit(b, "\":");
}

static void put_string(struct cgm_buf *b, const char *key, const char *v)
{
	put_key(b, key);
	cgm_json_string(b, v);
	cgm_buf_char(b, ',');
}

static void put_number(struct cgm_buf *b, const char *key, uint64_t v)
{
	put_key(b, key);
	cgm_json_u64(b, v);
	cgm_buf_char(b, ',');
}

/* ---- file systems ---- */

/* The numbers of a file system in the machine's newest sample; NULL: it is not there (yet). */
static const uint64_t *newest_fs(const struct cgm_snapshot *s, const char *device)
{
	const struct cgm_layout *l = s && s->nr_rows ? s->rows[0].layout : NULL;

	for (uint32_t i = 0; l && i < l->nr_blocks; i++)
		if (l->blocks[i].kind == CGM_LAYOUT_FS && strcmp(l->blocks[i].name, device) == 0)
			return s->rows[0].values + l->blocks[i].first;
	return NULL;
}

static void put_fs(struct cgm_buf *b, const struct cgm_fs_info *f, const struct cgm_machine *m, const struct cgm_snapshot *s)
{
	const uint64_t *v = newest_fs(s, f->device);

	cgm_buf_lit(b, "{\"timestamp\":");
	cgm_json_time(b, v ? s->rows[0].time_ns : m->time_ns);
	cgm_buf_char(b, ',');
	put_string(b, "device", f->device);
	put_string(b, "mountpoint", f->mountpoint);
	put_number(b, "capacity", v ? v[CGM_FS_CAPACITY] : f->capacity_bytes);
	put_number(b, "available", v ? v[CGM_FS_AVAILABLE] : f->available_bytes);
	put_number(b, "usage", v ? v[CGM_FS_USAGE] : f->used_bytes);
	cgm_buf_str(b, strcmp(f->mountpoint, "/") == 0 ? "\"labels\":[\"root\"]," : "\"labels\":null,");
	if (f->has_inodes) {
		put_number(b, "inodes", v ? v[CGM_FS_INODES] : f->inodes);
		put_number(b, "inodes_free", v ? v[CGM_FS_INODES_FREE] : f->inodes_free);
	}
	cgm_json_chop(b);
	cgm_buf_char(b, '}');
}

size_t cgm_json_storage(struct cgm_buf *b, const struct cgm_machine *m, const struct cgm_snapshot *s, int root_fd, const char *label, const char *uuid)
{
	size_t nr = 0;

	if (!uuid)
		cgm_buf_char(b, '[');
	for (size_t i = 0; i < m->nr_fs && !(uuid && nr); i++) {
		const struct cgm_fs_info *f = &m->fs[i];

		if (uuid && !cgm_machine_fs_has_uuid(root_fd, f, uuid))
			continue;
		if (!uuid && label && !(strcmp(label, "root") == 0 && strcmp(f->mountpoint, "/") == 0))
			continue;
		if (nr++)
			cgm_buf_char(b, ',');
		put_fs(b, f, m, s);
	}
	if (!uuid)
		cgm_buf_char(b, ']');
	return nr;
}

/* ---- processes ---- */

struct processes {
	struct cgm_stream stream;
	struct cgm_processes list;
	bool with_cgroup;
	bool any;
	size_t next;
};

/* As ps(1) writes STIME: the hour of today, the day of this year, the year before. */
static void put_start_time(struct cgm_buf *b, uint64_t now_ns, uint64_t start_ns)
{
	time_t now = (time_t)(now_ns / CGM_NSEC_PER_SEC), start = (time_t)(start_ns / CGM_NSEC_PER_SEC);
	struct tm n, s;
	char text[16];

	localtime_r(&now, &n);
	localtime_r(&start, &s);
	if (s.tm_year != n.tm_year)
		strftime(text, sizeof(text), "%Y", &s);
	else if (s.tm_yday != n.tm_yday)
		strftime(text, sizeof(text), "%b%d", &s);
	else
		strftime(text, sizeof(text), "%H:%M", &s);
	put_string(b, "start_time", text);
}

/* CPU time as ps(1) writes TIME: [days-]hours:minutes:seconds. */
static void put_running_time(struct cgm_buf *b, uint64_t cpu_ns)
{
	uint64_t t = cpu_ns / CGM_NSEC_PER_SEC, days = t / 86400;

	put_key(b, "running_time");
	cgm_buf_char(b, '"');
	if (days)
		cgm_buf_printf(b, "%02u-", (unsigned)days);
	cgm_buf_printf(b, "%02u:%02u:%02u\",", (unsigned)(t / 3600 % 24), (unsigned)(t / 60 % 60), (unsigned)(t % 60));
}

/* Tenths of a percent. */
static void put_share(struct cgm_buf *b, const char *key, uint64_t permille)
{
	put_key(b, key);
	cgm_buf_fixed(b, permille, 1);
	cgm_buf_char(b, ',');
}

static void put_process(struct cgm_buf *b, const struct processes *p, const struct cgm_process *x, const char *cgroup)
{
	cgm_buf_char(b, '{');
	put_string(b, "user", x->user);
	put_number(b, "pid", (uint64_t)x->pid);
	put_number(b, "parent_pid", (uint64_t)x->ppid);
	put_start_time(b, p->list.now_ns, x->start_time_ns);
	put_share(b, "percent_cpu", x->cpu_permille);
	put_share(b, "percent_mem", x->memory_permille);
	put_number(b, "rss", x->rss_bytes);
	put_number(b, "virtual_size", x->virtual_bytes);
	put_string(b, "status", x->status);
	put_running_time(b, x->cpu_ns);
	put_string(b, "cgroup_path", cgroup);
	put_string(b, "cmd", x->comm);
	put_number(b, "fd_count", x->nr_fds);
	put_number(b, "psr", x->cpu);
	cgm_json_chop(b);
	cgm_buf_char(b, '}');
}

static int processes_next(struct cgm_stream *stream, struct cgm_buf *out)
{
	struct processes *p = (struct processes *)stream;
	struct cgm_process x;
	char cgroup[4096];

	if (!p->next)
		cgm_buf_char(out, '[');
	for (size_t i = 0; i < PROCESSES_A_PIECE && p->next < p->list.nr; i++, p->next++) {
		if (cgm_processes_read(&p->list, p->next, &x) < 0)
			continue;
		cgroup[0] = '\0';
		if (p->with_cgroup)
			cgm_processes_cgroup(&p->list, p->next, cgroup, sizeof(cgroup));
		if (p->any)
			cgm_buf_char(out, ',');
		p->any = true;
		put_process(out, p, &x, cgroup);
	}
	if (p->next >= p->list.nr)
		cgm_buf_char(out, ']');
	return out->failed ? -ENOMEM : p->next < p->list.nr;
}

static void processes_free(struct cgm_stream *stream)
{
	struct processes *p = (struct processes *)stream;

	cgm_processes_done(&p->list);
	free(p);
}

struct cgm_stream *cgm_json_processes(struct cgm_processes *processes, bool with_cgroup)
{
	struct processes *p = cgm_calloc(1, sizeof(*p));

	if (!p) {
		cgm_processes_done(processes);
		return NULL;
	}
	p->stream = (struct cgm_stream){ .next = processes_next, .free = processes_free };
	p->list = *processes;
	*processes = (struct cgm_processes){ .trees = p->list.trees };
	p->with_cgroup = with_cgroup;
	return &p->stream;
}

/* ---- events ---- */

void cgm_json_record(struct cgm_buf *b, const struct cgm_record *r)
{
	cgm_buf_char(b, '{');
	put_string(b, "container_name", r->container);
	put_key(b, "timestamp");
	cgm_json_time(b, r->time_ns);
	cgm_buf_char(b, ',');
	put_string(b, "event_type", cgm_record_names[r->type]);
	put_key(b, "event_data");
	if (r->type == CGM_RECORD_OOM_KILL) {
		cgm_buf_lit(b, "{\"oom\":{\"pid\":");
		cgm_buf_i64(b, cgm_record_number(r));
		cgm_buf_char(b, ',');
		put_string(b, "process_name", r->process);
		put_string(b, "constraint", cgm_oom_constraint_name((enum cgm_oom_constraint)r->constraint));
		cgm_json_chop(b);
		cgm_buf_lit(b, "}}}");
	} else if (r->type == CGM_RECORD_DELETION) {
		cgm_buf_lit(b, "{\"container_deletion\":{\"exit_code\":");
		cgm_buf_i64(b, r->number);
		cgm_buf_lit(b, "}}}");
	} else {
		cgm_buf_lit(b, "{}}");
	}
}

struct events {
	struct cgm_stream stream;
	struct cgm_events *events;
	struct cgm_events_filter filter;
	struct cgm_events_place place;
	uint64_t nr_left;
	bool began, any;
	char container[];
};

static int events_next(struct cgm_stream *stream, struct cgm_buf *out)
{
	struct events *e = (struct events *)stream;
	struct cgm_record *records[RECORDS_A_PIECE];
	bool more = e->nr_left > 0;
	size_t nr = 0;

	if (!e->began)
		cgm_buf_char(out, '[');
	e->began = true;
	if (more)
		nr = cgm_events_read(e->events, &e->filter, &e->place, records, MIN(e->nr_left, RECORDS_A_PIECE), &more);
	for (size_t i = 0; i < nr; i++) {
		if (e->any)
			cgm_buf_char(out, ',');
		e->any = true;
		cgm_json_record(out, records[i]);
		cgm_record_unref(records[i]);
	}
	e->nr_left -= nr;
	if (!more || !e->nr_left) {
		cgm_buf_char(out, ']');
		more = false;
	}
	return out->failed ? -ENOMEM : more;
}

static void events_free(struct cgm_stream *stream)
{
	free(stream);
}

struct cgm_stream *cgm_json_events(struct cgm_events *e, const struct cgm_events_filter *f, uint64_t max)
{
	size_t len = strlen(f->container) + 1;
	struct events *x = cgm_calloc(1, sizeof(*x) + len);

	if (!x)
		return NULL;
	x->stream = (struct cgm_stream){ .next = events_next, .free = events_free };
	x->events = e;
	memcpy(x->container, f->container, len);
	x->filter = *f;
	x->filter.container = x->container;
	x->place = cgm_events_newest(e, &x->filter, max);
	x->nr_left = max;
	return &x->stream;
}
