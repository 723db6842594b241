// SPDX-License-Identifier: Apache-2.0
#include "cgroup/text.h"

#include <errno.h>
#include <string.h>

#include "base/cleanup.h"

#define KEY(id, text) { text, sizeof(text) - 1 },
#define LENGTH(id, text) | 1ULL << (sizeof(text) - 1)

static const struct cgm_key memory_stat_v1[] = { CGM_MEMORY_STAT_V1_KEYS(KEY) };
static const struct cgm_key memory_stat_v2[] = { CGM_MEMORY_STAT_V2_KEYS(KEY) };
static const struct cgm_key cpu_stat[] = { CGM_CPU_STAT_KEYS(KEY) };
static const struct cgm_key memory_events[] = { CGM_MEMORY_EVENTS_KEYS(KEY) };
const struct cgm_keys cgm_memory_stat_v1_keys = { memory_stat_v1, CGM_NR_MS1, 0 CGM_MEMORY_STAT_V1_KEYS(LENGTH) };
const struct cgm_keys cgm_memory_stat_v2_keys = { memory_stat_v2, CGM_NR_MS2, 0 CGM_MEMORY_STAT_V2_KEYS(LENGTH) };
const struct cgm_keys cgm_cpu_stat_keys = { cpu_stat, CGM_NR_CPU, 0 CGM_CPU_STAT_KEYS(LENGTH) };
const struct cgm_keys cgm_memory_events_keys = { memory_events, CGM_NR_EV, 0 CGM_MEMORY_EVENTS_KEYS(LENGTH) };

/*
 * One walk over the text. Files list their names in a fixed order, mostly ours, so the search begins behind the last hit;
 * a length that no key has is passed over at once.
 */
uint64_t cgm_text_keys(struct cgm_str text, const struct cgm_keys *keys, uint64_t *vals)
{
	struct cgm_str line;
	uint64_t seen = 0;
	unsigned at = 0;

	while (cgm_next_line(&text, &line)) {
		const char *blank = line.len ? memchr(line.p, ' ', line.len) : NULL;
		size_t len = blank ? (size_t)(blank - line.p) : 0;

		if (!blank || len > 63 || !(keys->lengths >> len & 1))
			continue;
		for (unsigned n = 0; n < keys->nr; n++, at = at + 1 < keys->nr ? at + 1 : 0) {
			const struct cgm_key *k = &keys->keys[at];

			if (k->len != len || memcmp(k->name, line.p, len) != 0)
				continue;
			if (cgm_parse_u64((struct cgm_str){ blank + 1, line.len - len - 1 }, &vals[at]) == 0)
				seen |= 1ULL << at;
			break;
		}
	}
	return seen;
}

size_t cgm_text_numbers(struct cgm_str text, uint64_t *v, size_t max)
{
	struct cgm_str token;
	size_t nr = 0;

	text = cgm_trim(text);
	while (nr < max && cgm_next_token(&text, &token)) {
		if (cgm_parse_u64(token, &v[nr]) < 0)
			break;
		nr++;
	}
	return nr;
}

int cgm_text_number(struct cgm_str text, uint64_t *ret)
{
	return cgm_parse_u64_max(cgm_trim(text), ret);
}

static int pressure_line(struct cgm_str line, struct cgm_pressure_line *ret)
{
	struct cgm_pressure_line p = { .present = true };
	struct {
		struct cgm_str name;
		uint64_t *value;
	} fields[] = {
		{ CGM_STR("avg10="), &p.avg10 },
		{ CGM_STR("avg60="), &p.avg60 },
		{ CGM_STR("avg300="), &p.avg300 },
		{ CGM_STR("total="), &p.total_usec },
	};
	struct cgm_str token;

	for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
		struct cgm_str name = fields[i].name;

		if (!cgm_next_token(&line, &token) || token.len <= name.len || memcmp(token.p, name.p, name.len) != 0)
			return -EINVAL;
		token.p += name.len;
		token.len -= name.len;
		if ((i < 3 ? cgm_parse_centi(token, fields[i].value) : cgm_parse_u64(token, fields[i].value)) < 0)
			return -EINVAL;
	}
	*ret = p;
	return 0;
}

void cgm_text_pressure(struct cgm_str text, struct cgm_pressure *ret)
{
	struct cgm_str line, kind;

	*ret = (struct cgm_pressure){ 0 };
	while (cgm_next_line(&text, &line)) {
		if (!cgm_next_token(&line, &kind))
			continue;
		if (cgm_str_eq(kind, "some"))
			pressure_line(line, &ret->some);
		else if (cgm_str_eq(kind, "full"))
			pressure_line(line, &ret->full);
	}
}

static bool io_stat_field(struct cgm_str token, struct cgm_io_stat *io)
{
	struct {
		struct cgm_str name;
		uint64_t *value;
	} fields[] = {
		{ CGM_STR("rbytes="), &io->rbytes }, { CGM_STR("wbytes="), &io->wbytes }, { CGM_STR("rios="), &io->rios },
		{ CGM_STR("wios="), &io->wios },     { CGM_STR("dbytes="), &io->dbytes }, { CGM_STR("dios="), &io->dios },
		{ CGM_STR("cost.usage="), &io->cost_usage },	 { CGM_STR("cost.wait="), &io->cost_wait },
		{ CGM_STR("cost.indebt="), &io->cost_indebt }, { CGM_STR("cost.indelay="), &io->cost_indelay },
	};

	for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
		struct cgm_str name = fields[i].name;

		if (token.len > name.len && memcmp(token.p, name.p, name.len) == 0)
			return cgm_parse_u64((struct cgm_str){ token.p + name.len, token.len - name.len }, fields[i].value) == 0;
	}
	return false;
}

/* Some kernels before 6.x print devices without numbers as bare words in front of the next one: the last device of a line counts. */
int cgm_text_io_stat(struct cgm_str text, cgm_io_stat_fn row, void *arg)
{
	struct cgm_str line, token;

	while (cgm_next_line(&text, &line)) {
		struct cgm_io_stat io = { 0 };
		uint32_t major = 0, minor = 0;
		bool device = false, numbers = false;
		int r;

		while (cgm_next_token(&line, &token)) {
			if (!memchr(token.p, '=', token.len)) {
				device = cgm_parse_dev(token, &major, &minor) == 0;
				continue;
			}
			if (io_stat_field(token, &io))
				numbers = true;
		}
		if (!device || !numbers)
			continue;
		r = row(arg, major, minor, &io);
		if (r)
			return r;
	}
	return 0;
}

int cgm_text_blkio(struct cgm_str text, cgm_blkio_fn row, void *arg)
{
	struct cgm_str line, device, op, number;
	uint32_t major, minor;
	uint64_t value;

	while (cgm_next_line(&text, &line)) {
		int r;

		if (!cgm_next_token(&line, &device) || !cgm_next_token(&line, &op) || !cgm_next_token(&line, &number))
			continue;
		if (cgm_trim(line).len || cgm_parse_dev(device, &major, &minor) < 0 || cgm_parse_u64(number, &value) < 0)
			continue;
		r = row(arg, major, minor, op, value);
		if (r)
			return r;
	}
	return 0;
}

/* "N0=4096" */
static bool numa_field(struct cgm_str token, uint64_t *ret_node, uint64_t *ret_value)
{
	struct cgm_str node;

	if (!cgm_next_field(&token, '=', &node) || node.len < 2 || node.p[0] != 'N')
		return false;
	node.p++;
	node.len--;
	return cgm_parse_u64(node, ret_node) == 0 && *ret_node <= UINT8_MAX && cgm_parse_u64(token, ret_value) == 0;
}

int cgm_text_numa(struct cgm_str text, cgm_numa_fn row, void *arg)
{
	struct cgm_str line, token, kind;
	uint64_t node, value;

	while (cgm_next_line(&text, &line)) {
		if (!cgm_next_token(&line, &token) || !cgm_next_field(&token, '=', &kind))
			continue;
		while (cgm_next_token(&line, &token)) {
			int r = numa_field(token, &node, &value) ? row(arg, kind, (uint32_t)node, value) : 0;

			if (r)
				return r;
		}
	}
	return 0;
}

int cgm_text_mount(struct cgm_str line, struct cgm_mount *ret)
{
	struct cgm_str id, parent, dev, options, token;
	struct cgm_mount m;

	if (!cgm_next_token(&line, &id) || !cgm_next_token(&line, &parent) || !cgm_next_token(&line, &dev) ||
	    !cgm_next_token(&line, &m.root) || !cgm_next_token(&line, &m.point) || !cgm_next_token(&line, &options))
		return -EINVAL;
	if (cgm_parse_dev(dev, &m.major, &m.minor) < 0 || m.point.p[0] != '/')
		return -EINVAL;
	do {
		if (!cgm_next_token(&line, &token))
			return -EINVAL;
	} while (!cgm_str_eq(token, "-"));
	if (!cgm_next_token(&line, &m.type))
		return -EINVAL;
	/* An empty source is two blanks: then one word is left, and it is the options. */
	if (!cgm_next_token(&line, &m.source))
		return -EINVAL;
	if (!cgm_next_token(&line, &m.options)) {
		m.options = m.source;
		m.source.len = 0;
	}
	*ret = m;
	return 0;
}

int cgm_text_unescape(struct cgm_str s, char *buf, size_t size)
{
	size_t len = 0;

	for (size_t i = 0; i < s.len; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if (len + 1 >= size)
			return -ENAMETOOLONG;
		if (c == '\\' && i + 3 < s.len && s.p[i + 1] >= '0' && s.p[i + 1] <= '3' && s.p[i + 2] >= '0' && s.p[i + 2] <= '7' &&
		    s.p[i + 3] >= '0' && s.p[i + 3] <= '7') {
			c = (unsigned char)((s.p[i + 1] - '0') << 6 | (s.p[i + 2] - '0') << 3 | (s.p[i + 3] - '0'));
			i += 3;
		}
		if (!c)
			return -EINVAL;
		buf[len++] = (char)c;
	}
	if (!size)
		return -ENAMETOOLONG;
	buf[len] = '\0';
	return (int)len;
}

bool cgm_text_has_word(struct cgm_str list, const char *word)
{
	struct cgm_str w;

	while (cgm_next_field(&list, ',', &w))
		if (cgm_str_eq(w, word))
			return true;
	return false;
}

int cgm_text_cgroup(struct cgm_str line, struct cgm_cgroup_line *ret)
{
	struct cgm_cgroup_line c;
	struct cgm_str number;
	uint64_t id;

	if (!cgm_next_field(&line, ':', &number) || cgm_parse_u64(number, &id) < 0 || id > UINT32_MAX)
		return -EINVAL;
	if (!cgm_next_field(&line, ':', &c.controllers) || !line.len || line.p[0] != '/')
		return -EINVAL;
	c.id = (uint32_t)id;
	c.path = line;
	*ret = c;
	return 0;
}

int cgm_text_net_dev(struct cgm_str line, struct cgm_net_dev *ret)
{
	const char *colon = line.len ? memchr(line.p, ':', line.len) : NULL;
	struct cgm_net_dev d;
	uint64_t v[16];

	if (!colon)
		return -EINVAL;
	d.name = cgm_trim((struct cgm_str){ line.p, (size_t)(colon - line.p) });
	if (!d.name.len || d.name.len > 15 || memchr(d.name.p, ' ', d.name.len) || memchr(d.name.p, '\0', d.name.len))
		return -EINVAL;
	if (cgm_text_numbers((struct cgm_str){ colon + 1, line.len - (size_t)(colon + 1 - line.p) }, v, 16) < 16)
		return -EINVAL;
	d.rx_bytes = v[0];
	d.rx_packets = v[1];
	d.rx_errors = v[2];
	d.rx_dropped = v[3];
	d.tx_bytes = v[8];
	d.tx_packets = v[9];
	d.tx_errors = v[10];
	d.tx_dropped = v[11];
	*ret = d;
	return 0;
}

int cgm_text_diskstats(struct cgm_str line, struct cgm_diskstats *ret)
{
	struct cgm_str major, minor;
	struct cgm_diskstats d;
	uint64_t a, b;

	if (!cgm_next_token(&line, &major) || !cgm_next_token(&line, &minor) || !cgm_next_token(&line, &d.name))
		return -EINVAL;
	if (cgm_parse_u64(major, &a) < 0 || cgm_parse_u64(minor, &b) < 0 || a > UINT32_MAX || b > UINT32_MAX)
		return -EINVAL;
	if (cgm_text_numbers(line, d.v, ARRAY_SIZE(d.v)) < ARRAY_SIZE(d.v))
		return -EINVAL;
	d.major = (uint32_t)a;
	d.minor = (uint32_t)b;
	*ret = d;
	return 0;
}

int cgm_text_meminfo(struct cgm_str text, const char *name, uint64_t *ret_bytes)
{
	struct cgm_str line, token, unit;
	size_t len = strlen(name);
	uint64_t v;

	while (cgm_next_line(&text, &line)) {
		if (!cgm_next_token(&line, &token))
			continue;
		if (cgm_str_eq(token, "Node") && (!cgm_next_token(&line, &unit) || !cgm_next_token(&line, &token)))
			continue;
		if (token.len != len + 1 || token.p[len] != ':' || memcmp(token.p, name, len) != 0)
			continue;
		if (!cgm_next_token(&line, &token) || cgm_parse_u64(token, &v) < 0)
			return -ENOENT;
		if (!cgm_next_token(&line, &unit) || !cgm_str_eq(unit, "kB"))
			return -ENOENT;
		*ret_bytes = v > UINT64_MAX / 1024 ? UINT64_MAX : v * 1024;
		return 0;
	}
	return -ENOENT;
}

/* The words of the next line of that section, less its name. */
static bool next_of_section(struct cgm_str *text, const char *section, struct cgm_str *ret)
{
	struct cgm_str token;

	while (cgm_next_line(text, ret)) {
		if (!cgm_next_token(ret, &token) || token.len != strlen(section) + 1 || token.p[token.len - 1] != ':')
			continue;
		if (memcmp(token.p, section, token.len - 1) == 0)
			return true;
	}
	return false;
}

void cgm_text_pairs(struct cgm_str text, const char *section, cgm_pair_fn pair, void *arg)
{
	struct cgm_str names, numbers, name, number;
	int64_t negative;
	uint64_t v;

	if (!next_of_section(&text, section, &names) || !next_of_section(&text, section, &numbers))
		return;
	while (cgm_next_token(&names, &name) && cgm_next_token(&numbers, &number)) {
		if (cgm_parse_u64(number, &v) == 0)
			pair(arg, name, v);
		else if (cgm_parse_i64(number, &negative) == 0)
			pair(arg, name, (uint64_t)negative);
		else
			return;
	}
}

/* A number or "unlimited". */
static int next_limit(struct cgm_str *line, uint64_t *ret)
{
	struct cgm_str token;

	if (!cgm_next_token(line, &token))
		return -EINVAL;
	*ret = UINT64_MAX;
	return cgm_str_eq(token, "unlimited") ? 0 : cgm_parse_u64(token, ret);
}

int cgm_text_limit(struct cgm_str text, const char *name, uint64_t *ret_soft, uint64_t *ret_hard)
{
	size_t len = strlen(name);
	struct cgm_str line;
	uint64_t soft, hard;

	while (cgm_next_line(&text, &line)) {
		if (line.len <= len || memcmp(line.p, name, len) != 0 || line.p[len] != ' ')
			continue;
		line.p += len;
		line.len -= len;
		if (next_limit(&line, &soft) < 0 || next_limit(&line, &hard) < 0)
			return -ENOENT;
		*ret_soft = soft;
		*ret_hard = hard;
		return 0;
	}
	return -ENOENT;
}
