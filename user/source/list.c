// SPDX-License-Identifier: Apache-2.0
/* Who the nodes are: an API server's, an own list, a file. A list is made anew when it changed; who stays keeps what is known of him. */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/uri.h"
#include "source/hosts.h"
#include "source/internal.h"

#define AGENT_PORT 8080
#define KUBELET_PORT 10250
#define MAX_FILE_BYTES ((size_t)16 << 20)

struct list {
	struct cgm_source_node **nodes;
	size_t nr, cap;
	char fault[CGM_SOURCE_FAULT]; /* of a part of it */
};

static void list_done(struct list *l)
{
	for (size_t i = 0; i < l->nr; i++)
		cgm_source_node_free(l->nodes[i]);
	free(l->nodes);
}

static bool is_ours(const struct cgm_source *s, const char *name)
{
	return s->config.nr_shards < 2 || cgm_hash_bytes(name, strlen(name)) % s->config.nr_shards == s->config.shard;
}

/* Takes n, which another shard's only frees. NULL: out of memory. */
static int add(struct cgm_source *s, struct list *l, struct cgm_source_node *n)
{
	if (!n)
		return -ENOMEM;
	if (!is_ours(s, n->name)) {
		cgm_source_node_free(n);
		return 0;
	}
	if (cgm_grow((void **)&l->nodes, &l->cap, l->nr, sizeof(*l->nodes)) < 0) {
		cgm_source_node_free(n);
		return -ENOMEM;
	}
	l->nodes[l->nr++] = n;
	return 0;
}

/* name, hostname, base are copied; NULL: out of memory. */
static struct cgm_source_node *new_node(const char *name, const char *hostname, const char *base)
{
	_cleanup_(cgm_source_node_freep) struct cgm_source_node *n = cgm_calloc(1, sizeof(*n));

	if (!n)
		return NULL;
	n->name = cgm_strdup(name);
	n->hostname = cgm_strdup(hostname);
	n->base = base ? cgm_strdup(base) : NULL;
	n->order = cgm_hash_bytes(name, strlen(name));
	n->form = CGM_NR_DECODE_FORMS;
	n->skew_ns = INT64_MIN;
	return n->name && n->hostname && (n->base || !base) ? TAKE_PTR(n) : NULL;
}

/* ---- own lists ---- */

/* Addresses are no place for variables: those of --source were put in before. */
static char *without_variables(const char *text)
{
	struct cgm_buf b = { 0 };

	cgm_buf_lit(&b, "node:");
	for (; *text; text++)
		if (*text == '$')
			cgm_buf_lit(&b, "%24");
		else
			cgm_buf_char(&b, *text);
	cgm_buf_char(&b, '\0');
	if (b.failed)
		cgm_buf_done(&b);
	return b.p;
}

static int check_address(const struct cgm_uri *u, char *fault)
{
	if (!*u->host)
		snprintf(fault, CGM_SOURCE_FAULT, "an address without a host");
	else if (*u->scheme && strcmp(u->scheme, "http") != 0 && strcmp(u->scheme, "https") != 0)
		snprintf(fault, CGM_SOURCE_FAULT, "%.60s: %.20s is neither http nor https", u->host, u->scheme);
	else if (u->nr_options)
		snprintf(fault, CGM_SOURCE_FAULT, "%.60s: an address takes no options", u->host);
	else if (strpbrk(u->host, " /?#@\\") || strlen(u->host) > 240)
		snprintf(fault, CGM_SOURCE_FAULT, "%.60s: no host has such a name", u->host);
	else
		return 0;
	return -EINVAL;
}

static struct cgm_source_node *node_of(const struct cgm_uri *u)
{
	_cleanup_(cgm_source_node_freep) struct cgm_source_node *n = NULL;
	bool v6 = strchr(u->host, ':');
	unsigned port = u->port ? u->port : AGENT_PORT;
	_cleanup_free_ char *full = cgm_asprintf(v6 ? "[%s]:%u" : "%s:%u", u->host, port),
			    *base = full ? cgm_asprintf("%s://%s%s", *u->scheme ? u->scheme : "http", full, u->path) : NULL;

	if (!base)
		return NULL;
	for (size_t len = strlen(base); len && base[len - 1] == '/'; len--)
		base[len - 1] = '\0';
	n = new_node(port == AGENT_PORT ? u->host : full, u->host, base);
	if (!n)
		return NULL;
	if (*u->user || *u->password) {
		n->user = cgm_strdup(u->user);
		n->password = cgm_strdup(u->password);
	}
	return (*u->user || *u->password) && (!n->user || !n->password) ? NULL : TAKE_PTR(n);
}

int cgm_source_address_read(const char *text, struct cgm_source_node **ret, char *fault)
{
	_cleanup_free_ char *escaped = without_variables(text);
	struct cgm_uri u = { 0 };
	int r = escaped ? cgm_uri_read(escaped, &u, fault, CGM_SOURCE_FAULT) : -ENOMEM;

	if (r == 0)
		r = check_address(&u, fault);
	if (r == 0) {
		*ret = node_of(&u);
		r = *ret ? 0 : -ENOMEM;
	}
	cgm_uri_done(&u);
	if (r == -ENOMEM)
		snprintf(fault, CGM_SOURCE_FAULT, "out of memory");
	return r;
}

/* A bad one is named, the others are used. */
static int add_address(struct cgm_source *s, struct list *l, struct cgm_str text, const char *file, size_t line)
{
	_cleanup_(cgm_source_node_freep) struct cgm_source_node *n = NULL;
	_cleanup_free_ char *copy = cgm_strndup(text.p, text.len);
	char fault[CGM_SOURCE_FAULT];
	int r = copy ? cgm_source_address_read(copy, &n, fault) : -ENOMEM;

	if (r == -ENOMEM)
		return r;
	if (r < 0) {
		if (!*l->fault)
			snprintf(l->fault, sizeof(l->fault), "%.120s:%zu: %.100s", file, line, fault);
		return 0;
	}
	return add(s, l, TAKE_PTR(n));
}

static int add_addresses(struct cgm_source *s, struct list *l)
{
	struct cgm_str rest = cgm_str(s->options.text), one;
	int r = 0;

	while (r == 0 && cgm_next_field(&rest, ',', &one))
		if (cgm_trim(one).len)
			r = add_address(s, l, cgm_trim(one), "--source", 1);
	return r;
}

static int add_lines(struct cgm_source *s, struct list *l)
{
	struct cgm_str text = { s->file_text, s->file_len }, line;
	size_t nr = 0;
	int r = 0;

	while (r == 0 && cgm_next_line(&text, &line)) {
		line = cgm_trim(line);
		nr++;
		if (line.len && line.p[line.len - 1] == '\r')
			line = cgm_trim((struct cgm_str){ line.p, line.len - 1 });
		if (line.len && *line.p != '#')
			r = add_address(s, l, line, s->options.text, nr);
	}
	return r;
}

struct hosts {
	struct cgm_source *s;
	struct list *l;
};

static int on_host(void *arg, const char *name, const char *ip)
{
	const struct hosts *h = arg;
	_cleanup_free_ char *address = cgm_asprintf(strchr(ip, ':') ? "http://[%s]:%u" : "http://%s:%u", ip, h->s->options.kubelet_port);
	_cleanup_(cgm_source_node_freep) struct cgm_source_node *n = NULL;
	char fault[CGM_SOURCE_FAULT], *copy;
	int r = address ? cgm_source_address_read(address, &n, fault) : -ENOMEM;

	if (r == -ENOMEM)
		return r;
	if (r < 0) {
		snprintf(h->l->fault, sizeof(h->l->fault), "%.120s: %.100s", h->s->options.text, fault);
		return 0;
	}
	copy = cgm_strdup(*name ? name : ip);
	if (!copy)
		return -ENOMEM;
	free(n->name);
	n->name = copy;
	n->order = cgm_hash_bytes(n->name, strlen(n->name));
	return add(h->s, h->l, TAKE_PTR(n));
}

static int add_hosts(struct cgm_source *s, struct list *l)
{
	struct hosts h = { s, l };
	char fault[CGM_SOURCE_FAULT];
	int r = cgm_source_hosts_read(s->file_text, s->file_len, on_host, &h, fault);

	if (r != -EINVAL)
		return r;
	snprintf(l->fault, sizeof(l->fault), "%.120s: %.100s", s->options.text, fault);
	return 0;
}

static int add_local(struct cgm_source *s, struct list *l)
{
	char host[256] = "localhost", base[64];
	struct cgm_source_node *n;

	if (s->options.kind == CGM_SOURCE_LOCAL)
		(void)gethostname(host, sizeof(host) - 1);
	snprintf(base, sizeof(base), s->options.kind == CGM_SOURCE_LOCAL ? "http://127.0.0.1:%u" : "http://localhost:%u",
		 s->options.kind == CGM_SOURCE_LOCAL ? AGENT_PORT : s->options.kubelet_port);
	n = new_node(host, host, base);
	return n ? add(s, l, n) : -ENOMEM;
}

/* ---- the API server's ---- */

static const char *address_of(const struct cgm_source_options *o, const struct cgm_kube_node *k)
{
	const char *const all[CGM_NR_ADDRESSES] = {
		[CGM_ADDRESS_HOSTNAME] = k->hostname,	      [CGM_ADDRESS_INTERNAL_DNS] = k->internal_dns, [CGM_ADDRESS_INTERNAL_IP] = k->internal_ip,
		[CGM_ADDRESS_LEGACY_IP] = k->legacy_ip, [CGM_ADDRESS_EXTERNAL_DNS] = k->external_dns, [CGM_ADDRESS_EXTERNAL_IP] = k->external_ip,
	};

	for (size_t i = 0; i < o->nr_addresses; i++)
		if (all[o->addresses[i]])
			return all[o->addresses[i]];
	return NULL;
}

/* It becomes a part of a URL, and is what a node says of itself. */
static bool is_address(const char *text)
{
	size_t len = 0;

	for (; text[len]; len++)
		if (!isalnum((unsigned char)text[len]) && !strchr(".:-_", text[len]))
			return false;
	return len > 0 && len < 254;
}

static const char *host_id_of(const struct cgm_source_options *o, const struct cgm_kube_node *k)
{
	if (k->external_id)
		return k->external_id;
	for (size_t i = 0; o->host_id_annotation && i < k->nr_annotations; i++)
		if (strcmp(k->annotations[i].key, o->host_id_annotation) == 0)
			return *k->annotations[i].value ? k->annotations[i].value : NULL;
	return NULL;
}

static int add_kube_node(struct cgm_source *s, struct list *l, struct cgm_kube_node *k)
{
	const struct cgm_source_options *o = &s->options;
	const char *address = address_of(o, k), *host_id = host_id_of(o, k);
	unsigned port = o->kubelet_port ? o->kubelet_port : k->kubelet_port ? k->kubelet_port : KUBELET_PORT;
	_cleanup_(cgm_source_node_freep) struct cgm_source_node *n = NULL;
	_cleanup_free_ char *base = NULL;

	if (address && is_address(address)) {
		base = cgm_asprintf(strchr(address, ':') ? "%s://[%s]:%u" : "%s://%s:%u", o->kubelet_https ? "https" : "http", address, port);
		if (!base)
			return -ENOMEM;
	}
	n = new_node(k->name, k->hostname, base);
	if (!n)
		return -ENOMEM;
	n->kube = cgm_kube_node_ref(k);
	n->host_id = host_id ? cgm_strdup(host_id) : NULL;
	if (host_id && !n->host_id)
		return -ENOMEM;
	n->unready = !k->ready ? "not asked: the API server says that it is not Ready" : !base ? "not asked: the API server knows no address of it" : NULL;
	return add(s, l, TAKE_PTR(n));
}

static int add_kube(struct cgm_source *s, struct list *l)
{
	struct cgm_kube_node **all;
	size_t nr;
	int r = cgm_kube_cluster_nodes(s->config.cluster, &all, &nr);

	if (r < 0)
		return r;
	for (size_t i = 0; i < nr; i++) {
		if (r == 0)
			r = add_kube_node(s, l, all[i]);
		cgm_kube_node_unref(all[i]);
	}
	free(all);
	return r;
}

/* ---- the new list takes the old one's place ---- */

static int by_name(const void *a, const void *b)
{
	const struct cgm_source_node *const *x = a, *const *y = b;

	return strcmp((*x)->name, (*y)->name);
}

static void drop_twice(struct list *l)
{
	size_t nr = 0;

	if (l->nr)
		qsort(l->nodes, l->nr, sizeof(*l->nodes), by_name);
	for (size_t i = 0; i < l->nr; i++)
		if (nr && strcmp(l->nodes[nr - 1]->name, l->nodes[i]->name) == 0) {
			cgm_warning("node %s: it is listed twice; %s is not asked", l->nodes[i]->name, l->nodes[i]->base ? l->nodes[i]->base : "another");
			cgm_source_node_free(l->nodes[i]);
		} else {
			l->nodes[nr++] = l->nodes[i];
		}
	l->nr = nr;
}

/* Whoever claims another's address is asked under his own name; the same kubelet answers both. */
static int find_same_address(struct cgm_source_node **nodes, size_t nr)
{
	struct cgm_hash by_base = { 0 };
	int r = 0;

	for (size_t i = 0; r == 0 && i < nr; i++) {
		struct cgm_source_node *n = nodes[i];
		const struct cgm_source_node *other = n->base ? cgm_hash_get(&by_base, n->base) : NULL;

		if (other && !n->said_same)
			cgm_warning("node %s: it has the address of %s, %s: one of them answers for both", n->name, other->name, n->base);
		n->said_same = other;
		if (n->base && !other)
			r = cgm_hash_put(&by_base, n->base, n);
	}
	cgm_hash_done(&by_base);
	return r;
}

static void carry(struct cgm_source_node *from, struct cgm_source_node *to)
{
	if (from->base && to->base && strcmp(from->base, to->base) == 0) {
		to->form = from->form;
		to->probe_again_ns = from->probe_again_ns;
		to->nr_failures = from->nr_failures;
		to->said_failure = from->said_failure;
		to->failed_last = from->failed_last;
		to->said_same = from->said_same;
		to->fault = TAKE_PTR(from->fault);
	}
	to->said_skew = from->said_skew;
	to->last_ok_ns = from->last_ok_ns;
	to->last_try_ns = from->last_try_ns;
	to->duration_ns = from->duration_ns;
	to->nr_ok = from->nr_ok;
	to->nr_bad = from->nr_bad;
	to->skew_ns = from->skew_ns;
	memcpy(to->nr_failed, from->nr_failed, sizeof(to->nr_failed));
}

/* Both are sorted. */
static void take_place(struct cgm_source *s, struct list *l)
{
	struct list old;

	pthread_mutex_lock(&s->lock);
	old = (struct list){ .nodes = s->nodes, .nr = s->nr_nodes };
	for (size_t i = 0, k = 0; i < old.nr && k < l->nr;) {
		int order = strcmp(old.nodes[i]->name, l->nodes[k]->name);

		if (order == 0)
			carry(old.nodes[i], l->nodes[k]);
		i += order <= 0;
		k += order >= 0;
	}
	s->nodes = l->nodes;
	s->nr_nodes = l->nr;
	pthread_mutex_unlock(&s->lock);
	l->nodes = old.nodes;
	l->nr = old.nr;
}

static void set_fault(struct cgm_source *s, const char *text, bool say)
{
	bool new = *text && strcmp(s->stats.list_fault, text) != 0;

	pthread_mutex_lock(&s->lock);
	snprintf(s->stats.list_fault, sizeof(s->stats.list_fault), "%s", text);
	pthread_mutex_unlock(&s->lock);
	if (new && say)
		cgm_warning("nodes: %s", text);
}

/* True: the list was made anew. */
static bool rebuild(struct cgm_source *s)
{
	static int (*const adders[])(struct cgm_source *, struct list *) = {
		[CGM_SOURCE_LOCAL] = add_local, [CGM_SOURCE_LIST] = add_addresses, [CGM_SOURCE_FILE] = add_lines,  [CGM_SOURCE_CADVISOR] = add_local,
		[CGM_SOURCE_HOSTS] = add_hosts, [CGM_SOURCE_KUBERNETES] = add_kube, [CGM_SOURCE_SUMMARY] = add_kube,
	};
	_cleanup_(list_done) struct list l = { 0 };
	int r = adders[s->options.kind](s, &l);

	if (r == 0) {
		drop_twice(&l);
		take_place(s, &l);
		r = find_same_address(s->nodes, s->nr_nodes);
	}
	if (r < 0)
		set_fault(s, "out of memory", true);
	else
		set_fault(s, l.fault, true);
	return r == 0;
}

/* ---- has it changed? ---- */

/* Read anew before each cycle: that is cheaper than it is to miss a change which a clock or a mount hides. */
static bool read_file(struct cgm_source *s, bool *ret_changed)
{
	char *text, fault[CGM_SOURCE_FAULT];
	size_t len;
	int r = cgm_read_all_at(AT_FDCWD, s->options.text, MAX_FILE_BYTES, &text, &len);

	if (r < 0) {
		snprintf(fault, sizeof(fault), "%.180s: %s%s", s->options.text, r == -EFBIG ? "larger than 16 MiB" : strerror(-r), s->listed ? "; the last list is used" : "");
		set_fault(s, fault, true);
		s->file_failed = true;
		return false;
	}
	*ret_changed = !s->listed || s->file_failed || len != s->file_len || memcmp(text, s->file_text, len) != 0;
	s->file_failed = false;
	free(s->file_text);
	s->file_text = text;
	s->file_len = len;
	return true;
}

static bool ask_kube(struct cgm_source *s, bool *ret_changed)
{
	struct cgm_kube_watch_state state = cgm_kube_cluster_state(s->config.cluster, CGM_KUBE_NODES);
	uint64_t version = cgm_kube_cluster_nodes_version(s->config.cluster);

	*ret_changed = version != s->nodes_version || (state.synced && !s->listed);
	if (!state.synced)
		set_fault(s, state.fault, false); /* the watch has said it */
	else if (!*ret_changed)
		set_fault(s, "", false);
	s->nodes_version = version;
	return state.synced || s->listed;
}

bool cgm_source_list(struct cgm_source *s)
{
	bool changed = !s->listed, known = true;

	if (s->options.kind == CGM_SOURCE_FILE || s->options.kind == CGM_SOURCE_HOSTS)
		known = read_file(s, &changed);
	else if (cgm_source_needs_kube(&s->options))
		known = ask_kube(s, &changed);
	if (known && changed) {
		if (rebuild(s)) {
			s->listed = true;
			cgm_source_fetch_size(s);
		} else {
			s->nodes_version = UINT64_MAX;
			s->file_failed = true; /* it is as if it had changed */
		}
	}
	return s->listed;
}
