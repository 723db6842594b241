// SPDX-License-Identifier: Apache-2.0
/* A node's Summary and resource metrics: the fields of a kubelet 1.20.2 (tests/fixtures/kubelet), with numbers that grow evenly with the time. */
#include <stdio.h>
#include <time.h>

#include "sim/cluster.h"

#define NSEC 1000000000ULL

static void put_time(struct cgm_buf *out, const char *key, uint64_t ns)
{
	static _Thread_local uint64_t last_s;
	static _Thread_local char text[32];
	time_t t = (time_t)(ns / NSEC);
	struct tm tm;

	if (ns / NSEC != last_s) {
		gmtime_r(&t, &tm);
		strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm);
		last_s = ns / NSEC;
	}
	cgm_buf_char(out, '"');
	cgm_buf_str(out, key);
	cgm_buf_lit(out, "\":\"");
	cgm_buf_str(out, text);
	cgm_buf_char(out, '"');
}

static void put(struct cgm_buf *out, const char *key, uint64_t v)
{
	cgm_buf_lit(out, ",\"");
	cgm_buf_str(out, key);
	cgm_buf_lit(out, "\":");
	cgm_buf_u64(out, v);
}

/* CPU that a thing with this number has used after so long: between 0.05 and 0.15 cores. */
static uint64_t cpu_ns(uint64_t age_ns, unsigned number)
{
	return age_ns / 20 + age_ns / 1000 * (number % 100);
}

static void put_cpu(const struct sim *s, unsigned number, struct cgm_buf *out)
{
	cgm_buf_lit(out, "\"cpu\":{");
	put_time(out, "time", s->now_ns);
	put(out, "usageNanoCores", 50000000 + number % 100 * 1000000);
	put(out, "usageCoreNanoSeconds", cpu_ns(s->now_ns - s->start_ns, number));
	cgm_buf_lit(out, "},\"memory\":{");
	put_time(out, "time", s->now_ns);
	put(out, "availableBytes", 32833536);
	put(out, "usageBytes", 50000000 + number % 100 * 100000 + s->now_ns / NSEC % 60 * 4096);
	put(out, "workingSetBytes", 40000000 + number % 100 * 100000);
	put(out, "rssBytes", 30000000 + number % 100 * 100000);
	put(out, "pageFaults", (s->now_ns - s->start_ns) / NSEC * 10);
	put(out, "majorPageFaults", (s->now_ns - s->start_ns) / NSEC / 10);
	cgm_buf_char(out, '}');
}

static void put_fs(const struct sim *s, const char *name, uint64_t used, struct cgm_buf *out)
{
	cgm_buf_lit(out, ",\"");
	cgm_buf_str(out, name);
	cgm_buf_lit(out, "\":{");
	put_time(out, "time", s->now_ns);
	put(out, "availableBytes", 70607450112);
	put(out, "capacityBytes", 270553174016);
	put(out, "usedBytes", used);
	put(out, "inodesFree", 16160060);
	put(out, "inodes", 16777216);
	put(out, "inodesUsed", used / 4096);
	cgm_buf_char(out, '}');
}

static void put_network(const struct sim *s, unsigned number, struct cgm_buf *out)
{
	uint64_t bytes = (s->now_ns - s->start_ns) / NSEC * (1000 + number % 100);

	cgm_buf_lit(out, ",\"network\":{");
	put_time(out, "time", s->now_ns);
	cgm_buf_lit(out, ",\"name\":\"eth0\"");
	put(out, "rxBytes", bytes);
	put(out, "rxErrors", 0);
	put(out, "txBytes", bytes * 2);
	put(out, "txErrors", 0);
	cgm_buf_lit(out, ",\"interfaces\":[{\"name\":\"eth0\"");
	put(out, "rxBytes", bytes);
	put(out, "rxErrors", 0);
	put(out, "txBytes", bytes * 2);
	put(out, "txErrors", 0);
	cgm_buf_lit(out, "}]}");
}

static void put_pod(const struct sim *s, unsigned node, unsigned pod, struct cgm_buf *out)
{
	unsigned number = node * s->nr_pods + pod;

	cgm_buf_printf(out, "{\"podRef\":{\"name\":\"web-%u-%u\",\"namespace\":\"team-%u\",\"uid\":\"00000000-0000-4000-8000-%012u\"},", node, pod, number % SIM_NAMESPACES, number);
	put_time(out, "startTime", s->start_ns);
	cgm_buf_lit(out, ",\"containers\":[{\"name\":\"app\",");
	put_time(out, "startTime", s->start_ns);
	cgm_buf_char(out, ',');
	put_cpu(s, number, out);
	put_fs(s, "rootfs", 20480, out);
	put_fs(s, "logs", 4096, out);
	cgm_buf_lit(out, "}],");
	put_cpu(s, number, out);
	put_network(s, number, out);
	cgm_buf_lit(out, ",\"volume\":[{");
	put_time(out, "time", s->now_ns);
	put(out, "availableBytes", 70607470592);
	put(out, "capacityBytes", 270553174016);
	put(out, "usedBytes", 1052672);
	put(out, "inodesFree", 16160069);
	put(out, "inodes", 16777216);
	put(out, "inodesUsed", 2);
	cgm_buf_lit(out, ",\"name\":\"data\"}],\"process_stats\":{\"process_count\":0}}");
}

void sim_summary(const struct sim *s, unsigned node, struct cgm_buf *out)
{
	cgm_buf_printf(out, "{\"node\":{\"nodeName\":\"node-%u\",\"systemContainers\":[{\"name\":\"kubelet\",", node);
	put_time(out, "startTime", s->start_ns);
	cgm_buf_char(out, ',');
	put_cpu(s, 7, out);
	cgm_buf_lit(out, "}],");
	put_time(out, "startTime", s->start_ns);
	cgm_buf_char(out, ',');
	put_cpu(s, 99, out);
	put_network(s, node, out);
	put_fs(s, "fs", 32137830400, out);
	cgm_buf_lit(out, "},\"pods\":[");
	for (unsigned i = 0; i < s->nr_pods; i++) {
		if (i)
			cgm_buf_char(out, ',');
		put_pod(s, node, i, out);
	}
	cgm_buf_lit(out, "]}");
}

static void put_sample(struct cgm_buf *out, const struct sim *s, const char *labels, uint64_t v, unsigned digits)
{
	cgm_buf_str(out, labels);
	cgm_buf_char(out, ' ');
	cgm_buf_fixed(out, v, digits);
	cgm_buf_char(out, ' ');
	cgm_buf_u64(out, s->now_ns / 1000000);
	cgm_buf_char(out, '\n');
}

static void put_family(struct cgm_buf *out, const char *name, const char *type)
{
	cgm_buf_printf(out, "# HELP %s [STABLE] what it says\n# TYPE %s %s\n", name, name, type);
}

static void put_samples(const struct sim *s, unsigned node, const char *name, bool cpu, struct cgm_buf *out)
{
	char labels[160];

	put_family(out, name, cpu ? "counter" : "gauge");
	for (unsigned i = 0; i < s->nr_pods; i++) {
		unsigned number = node * s->nr_pods + i;

		snprintf(labels, sizeof(labels), "%s{container=\"app\",namespace=\"team-%u\",pod=\"web-%u-%u\"}", name, number % SIM_NAMESPACES, node, i);
		put_sample(out, s, labels, cpu ? cpu_ns(s->now_ns - s->start_ns, number) : 40000000 + number % 100 * 100000, cpu ? 9 : 0);
	}
}

void sim_resource(const struct sim *s, unsigned node, struct cgm_buf *out)
{
	put_samples(s, node, "container_cpu_usage_seconds_total", true, out);
	put_samples(s, node, "container_memory_working_set_bytes", false, out);
	put_family(out, "node_cpu_usage_seconds_total", "counter");
	put_sample(out, s, "node_cpu_usage_seconds_total", cpu_ns(s->now_ns - s->start_ns, 99), 9);
	put_family(out, "node_memory_working_set_bytes", "gauge");
	put_sample(out, s, "node_memory_working_set_bytes", 40000000, 0);
	cgm_buf_lit(out, "# HELP scrape_error [ALPHA] 1 if there was an error\n# TYPE scrape_error gauge\nscrape_error 0\n");
}
