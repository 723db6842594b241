// SPDX-License-Identifier: Apache-2.0
/* Nodes that answer as a test says: who is asked, for what, when; and what becomes of those that do not answer. */
#include "kube_fixture.h"
#include "kube_server.h"

#include <errno.h>

#include "base/log.h"
#include "base/mem.h"
#include "source/internal.h"

#define MSEC CGM_NSEC_PER_MSEC
#define SUMMARY "{\"node\":{\"nodeName\":\"self\",\"startTime\":\"2026-11-22T15:00:00Z\",\"cpu\":{\"time\":\"2026-11-22T15:52:56Z\",\"usageCoreNanoSeconds\":5}},\"pods\":[]}"
#define RESOURCE "# TYPE node_cpu_usage_seconds_total counter\nnode_cpu_usage_seconds_total 1.5 1795362776000\n"
#define INFO "{\"name\":\"/\",\"stats\":[{\"timestamp\":\"2026-11-22T15:52:56Z\",\"cpu\":{\"usage\":{\"total\":5}}}]}"
#define CONTAINERS "{\"/\":" INFO "}"
#define SUBCONTAINERS "[" INFO "]"

struct setting {
	struct kube_server server;
	struct cgm_source_config config;
	struct cgm_source *source;
	char uri[400];
	pthread_mutex_t lock; /* for what follows */
	unsigned nr_nodes, nr_cycles;
	uint64_t first_end_ns, last_end_ns;
	size_t nr_asked, nr_answered, nr_sets;
	bool uneven; /* an end that is no multiple of the resolution, or came twice */
	char names[2000]; /* of nodes that answered, each with a blank behind it */
	char host_id[64], hostname[64];
};

static void on_node(void *arg, const struct cgm_node_facts *node, struct cgm_draft *d, uint64_t end_ns)
{
	struct setting *s = arg;
	size_t len;

	pthread_mutex_lock(&s->lock);
	__atomic_add_fetch(&s->nr_nodes, 1, __ATOMIC_RELEASE);
	s->nr_sets = d->nr_sets;
	s->uneven |= end_ns % s->config.resolution_ns != 0;
	len = strlen(s->names);
	if (len < sizeof(s->names) - 100)
		snprintf(s->names + len, sizeof(s->names) - len, "%s ", node->name);
	snprintf(s->host_id, sizeof(s->host_id), "%s", node->host_id ? node->host_id : "-");
	snprintf(s->hostname, sizeof(s->hostname), "%s", node->hostname);
	pthread_mutex_unlock(&s->lock);
}

static void on_cycle(void *arg, uint64_t end_ns, size_t nr_asked, size_t nr_answered)
{
	struct setting *s = arg;

	pthread_mutex_lock(&s->lock);
	s->uneven |= end_ns % s->config.resolution_ns != 0 || end_ns <= s->last_end_ns;
	if (!s->nr_cycles)
		s->first_end_ns = end_ns;
	s->last_end_ns = end_ns;
	s->nr_asked = nr_asked;
	s->nr_answered = nr_answered;
	__atomic_add_fetch(&s->nr_cycles, 1, __ATOMIC_RELEASE);
	pthread_mutex_unlock(&s->lock);
}

static void prepare(struct setting *s)
{
	memset(s, 0, sizeof(*s));
	pthread_mutex_init(&s->lock, NULL);
	kube_start(&s->server);
	s->config = (struct cgm_source_config){ .uri = s->uri, .resolution_ns = 50 * MSEC, .timeout_ns = 5000 * MSEC, .on_node = on_node, .on_cycle = on_cycle, .arg = s };
	snprintf(s->uri, sizeof(s->uri), "nodes:%s", s->server.url);
}

static void serve(struct setting *s, const char *match, unsigned times, unsigned status, const char *body)
{
	kube_rule(&s->server, (struct kube_rule){ .match = match, .times = times, .status = status, .body = body });
}

static void begin(struct setting *s)
{
	char fault[CGM_SOURCE_FAULT] = "";

	if (cgm_source_start(&s->config, &s->source, fault) < 0)
		fail_msg("%s", fault);
}

static void end(struct setting *s)
{
	cgm_source_stop(s->source);
	kube_stop(&s->server);
	pthread_mutex_destroy(&s->lock);
}

static unsigned nr_cycles(struct setting *s)
{
	return __atomic_load_n(&s->nr_cycles, __ATOMIC_ACQUIRE);
}

static unsigned nr_nodes(struct setting *s)
{
	return __atomic_load_n(&s->nr_nodes, __ATOMIC_ACQUIRE);
}

/* What the source's thread told last. */
#define TOLD(s, member)                                  \
	__extension__({                                  \
		__typeof__((s)->member) _told;           \
		pthread_mutex_lock(&(s)->lock);          \
		_told = (s)->member;                     \
		pthread_mutex_unlock(&(s)->lock);        \
		_told;                                   \
	})

static bool is_named(struct setting *s, const char *text)
{
	bool is;

	pthread_mutex_lock(&s->lock);
	is = strstr(s->names, text) != NULL;
	pthread_mutex_unlock(&s->lock);
	return is;
}

/* The one with this name. */
static struct cgm_node_state state_of(struct setting *s, const char *name)
{
	struct cgm_node_state *all, found = { 0 };
	size_t nr;

	assert_int_equal(cgm_source_nodes(s->source, &all, &nr), 0);
	for (size_t i = 0; i < nr; i++)
		if (!name || strcmp(all[i].name, name) == 0)
			found = all[i];
	free(all);
	return found;
}

static void assert_fault(struct setting *s, const char *name, enum cgm_node_fault f, const char *text)
{
	struct cgm_node_state n;

	kube_wait(state_of(s, name).nr_failed[f] > 0);
	n = state_of(s, name);
	if (!strstr(n.fault, text))
		fail_msg("%s is not: %s", n.fault, text);
	for (int i = 0; i < CGM_NR_NODE_FAULTS; i++)
		assert_true(i == (int)f || i == CGM_NODE_TIMEOUT || n.nr_failed[i] == 0);
	assert_true(cgm_source_stats(s->source).nr_silent >= 1);
	assert_true(cgm_source_stats(s->source).nr_failed[f] > 0);
}

/* ---- URIs ---- */

static void test_check(void **state)
{
	static const char *const good[] = {
		"", "nodes:http://a:8080,http://b:8080", "nodes:a", "nodes:/path", "nodes:https://u:p@[::1]:10250/x?insecure=true", "kubernetes:", "kubernetes:''", "kubernetes.summary_api:''",
		"kubernetes:http://h:8080?inClusterConfig=false&useServiceAccount=false&kubeletPort=10250&kubeletHttps=true&apiVersion=v1&insecure=true",
		"kubernetes:https://kubernetes.default?useServiceAccount=true", "kubernetes:?inClusterConfig=false&auth=/k", "kubernetes.summary_api:''?host_id_annotation=x",
		"kubernetes:?addressTypes=Hostname,InternalIP&kubeletInsecure=true&kubeletCaFile=/c", "cadvisor:external?standalone=true&cadvisorPort=8080", "cadvisor:external", "cadvisor:external?hostsFile=/h",
	};
	static const struct {
		const char *uri, *fault;
	} bad[] = {
		{ "prometheus:x", "prometheus: no such source; there are kubernetes, kubernetes.summary_api, nodes, cadvisor" },
		{ "nodes:", "nodes: neither an address nor a file is named" },
		{ "nodes:ftp://a", "a: ftp is neither http nor https" },
		{ "nodes:http://a:80,http://b:x", "port: x is none" },
		{ "nodes:http://a?b=c", "nodes: there is no option b" },
		{ "kubernetes:?kubeletport=1", "kubernetes: there is no option kubeletport" },
		{ "kubernetes:?kubeletPort=0", "option kubeletPort: \"0\" is no port" },
		{ "kubernetes:?kubeletHttps=maybe", "option kubeletHttps: \"maybe\" is no true or false" },
		{ "kubernetes:?apiVersion=v2", "option apiVersion: \"v2\" is not spoken here; v1 is" },
		{ "kubernetes:?host_id_annotation=x", "kubernetes: there is no option host_id_annotation" },
		{ "kubernetes:host:80", "kubernetes: the API server's address must begin with http:// or https://" },
		{ "kubernetes:?inClusterConfig=false", "inClusterConfig=false needs the API server's address, or auth=KUBECONFIG" },
		{ "kubernetes:?auth=/k", "option auth: a kubeconfig is read only with inClusterConfig=false" },
		{ "kubernetes:?addressTypes=IP", "option addressTypes: \"IP\" is none of Hostname, InternalDNS, InternalIP, LegacyHostIP, ExternalDNS, ExternalIP" },
		{ "cadvisor:coreos", "cadvisor:coreos: only cadvisor:external is known" },
	};
	char fault[CGM_SOURCE_FAULT];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		if (cgm_source_check(good[i], fault) < 0)
			fail_msg("%s: %s", good[i], fault);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_int_equal(cgm_source_check(bad[i].uri, fault), -EINVAL);
		assert_string_equal(fault, bad[i].fault);
	}
}

static void test_kube_config(void **state)
{
	struct cgm_source_kube_texts t;
	struct cgm_kube_config c;
	char fault[CGM_SOURCE_FAULT];
	bool needed;

	(void)state;
	assert_int_equal(cgm_source_kube_config("nodes:a", &c, &needed, &t, fault), 0);
	assert_false(needed);
	cgm_source_kube_texts_done(&t);
	assert_int_equal(cgm_source_kube_config("kubernetes:''", &c, &needed, &t, fault), 0);
	assert_true(needed && !c.url && !c.kubeconfig && !c.insecure && !c.service_account);
	cgm_source_kube_texts_done(&t);
	assert_int_equal(cgm_source_kube_config("kubernetes:https://h?insecure=true", &c, &needed, &t, fault), 0);
	assert_string_equal(c.url, "https://h:443");
	assert_true(c.insecure);
	cgm_source_kube_texts_done(&t);
	/* The kubeconfig's server, as Heapster has it. */
	assert_int_equal(cgm_source_kube_config("kubernetes:http://[::1]:8?inClusterConfig=false&auth=/k", &c, &needed, &t, fault), 0);
	assert_string_equal(c.kubeconfig, "/k");
	assert_null(c.url);
	cgm_source_kube_texts_done(&t);
	assert_int_equal(cgm_source_kube_config("kubernetes.summary_api:http://[::1]:8?inClusterConfig=false", &c, &needed, &t, fault), 0);
	assert_string_equal(c.url, "http://[::1]:8");
	assert_non_null(c.service_account); /* none */
	cgm_source_kube_texts_done(&t);
	assert_int_equal(cgm_source_kube_config("kubernetes:?x=y", &c, &needed, &t, fault), -EINVAL);
}

/* ---- probing ---- */

static void test_probe__own_list(void **state)
{
	static const struct {
		const char *match, *body;
		enum cgm_decode_form form;
	} forms[] = {
		{ "POST /api/v1.3/subcontainers ", SUBCONTAINERS, CGM_DECODE_SUBCONTAINERS },
		{ "GET /stats/summary ", SUMMARY, CGM_DECODE_SUMMARY },
		{ "GET /metrics/resource ", RESOURCE, CGM_DECODE_RESOURCE },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(forms); i++) {
		struct setting s;
		bool failed;
		size_t nr;

		prepare(&s);
		serve(&s, forms[i].match, 0, 200, forms[i].body);
		begin(&s);
		kube_wait(nr_cycles(&s) >= 3);
		kube_wait(TOLD(&s, nr_answered) == 1);
		assert_int_equal(TOLD(&s, nr_asked), 1);
		assert_true(TOLD(&s, nr_sets) > 0);
		assert_int_equal(state_of(&s, NULL).form, forms[i].form);
		assert_string_equal(state_of(&s, NULL).address, s.server.url);
		failed = cgm_source_stats(s.source).nr_failed[CGM_NODE_TIMEOUT] > 0; /* a machine that is too busy */
		cgm_source_stop(TAKE_PTR(s.source));
		/* What works is kept: the others were tried once. */
		nr = kube_nr_requests(&s.server, "");
		assert_true(failed || nr >= 3 + i + 1);
		assert_true(failed || nr - kube_nr_requests(&s.server, forms[i].match) == i + 1);
		for (size_t k = 0; k < s.server.nr_requests; k++)
			assert_true(failed || s.server.requests[k].connection == 0); /* and its connection, too */
		assert_false(s.uneven);
		end(&s);
	}
}

static void test_probe__anew(void **state)
{
	struct setting s;

	(void)state;
	prepare(&s);
	serve(&s, "GET /stats/summary ", 2, 200, SUMMARY);
	serve(&s, "GET /metrics/resource ", 2, 200, RESOURCE);
	serve(&s, "GET /metrics/resource ", 0, 200, "nonsense {");
	serve(&s, "POST /api/v1.3/subcontainers ", 2, 404, "");
	serve(&s, "POST /api/v1.3/subcontainers ", 0, 200, SUBCONTAINERS);
	begin(&s);
	/* Two summaries; it is gone, so subcontainers in the same cycle, and from then on. */
	kube_wait(nr_cycles(&s) >= 5);
	if (cgm_source_stats(s.source).nr_failed[CGM_NODE_TIMEOUT] == 0) {
		pthread_mutex_lock(&s.lock);
		assert_true(s.nr_nodes == s.nr_cycles || s.nr_nodes == s.nr_cycles + 1);
		pthread_mutex_unlock(&s.lock);
		assert_int_equal(state_of(&s, NULL).form, CGM_DECODE_SUBCONTAINERS);
	}
	assert_true(state_of(&s, NULL).nr_failed[CGM_NODE_STATUS] == 0);
	end(&s);
}

/* A node that is in trouble is asked for the same again. */
static void test_probe__kept_in_trouble(void **state)
{
	struct setting s;

	(void)state;
	prepare(&s);
	serve(&s, "GET /stats/summary ", 1, 200, SUMMARY);
	serve(&s, "GET /stats/summary ", 1, 503, "");
	serve(&s, "GET /stats/summary ", 0, 200, SUMMARY);
	begin(&s);
	kube_wait(nr_nodes(&s) >= 3);
	assert_true(state_of(&s, NULL).nr_failed[CGM_NODE_STATUS] == 1);
	assert_true(kube_nr_requests(&s.server, "compact") == 1 || state_of(&s, NULL).nr_failed[CGM_NODE_TIMEOUT]);
	end(&s);
}

static void test_forms(void **state)
{
	struct cgm_source s = { 0 };
	enum cgm_decode_form f[CGM_NR_DECODE_FORMS];

	(void)state;
	s.options.kind = CGM_SOURCE_KUBERNETES;
	assert_int_equal(cgm_source_forms(&s, f), 4);
	assert_true(f[0] == CGM_DECODE_COMPACT && f[1] == CGM_DECODE_CONTAINERS && f[2] == CGM_DECODE_SUMMARY && f[3] == CGM_DECODE_RESOURCE);
	s.options.kind = CGM_SOURCE_SUMMARY;
	assert_int_equal(cgm_source_forms(&s, f), 3);
	assert_true(f[0] == CGM_DECODE_COMPACT && f[1] == CGM_DECODE_SUMMARY && f[2] == CGM_DECODE_RESOURCE);
	s.config.resource_only = true;
	assert_int_equal(cgm_source_forms(&s, f), 3);
	assert_true(f[0] == CGM_DECODE_RESOURCE && f[1] == CGM_DECODE_COMPACT && f[2] == CGM_DECODE_SUMMARY);
	s.options.kind = CGM_SOURCE_LOCAL;
	assert_int_equal(cgm_source_forms(&s, f), 4);
}

/* ---- faults ---- */

static void test_fault__status(void **state)
{
	struct setting s;

	(void)state;
	prepare(&s);
	begin(&s);
	assert_fault(&s, NULL, CGM_NODE_STATUS, "404 for /stats/summary: it serves none of what we can read");
	assert_int_equal(state_of(&s, NULL).form, CGM_NR_DECODE_FORMS);
	assert_true(state_of(&s, NULL).last_ok_ns == 0 && state_of(&s, NULL).last_try_ns > 0);
	end(&s);
}

static void test_fault__denied(void **state)
{
	struct setting s;

	(void)state;
	prepare(&s);
	serve(&s, "", 0, 401, "");
	begin(&s);
	assert_fault(&s, NULL, CGM_NODE_DENIED, "401 for /stats/summary: it wants a login");
	end(&s);

	prepare(&s);
	snprintf(s.uri, sizeof(s.uri), "nodes:http://me:a%%24b@127.0.0.1:%u", s.server.port);
	serve(&s, "GET /stats/summary Basic bWU6YSRi", 0, 200, SUMMARY);
	begin(&s);
	kube_wait(nr_nodes(&s) >= 1);
	assert_null(strstr(state_of(&s, NULL).address, "me"));
	end(&s);
}

static void test_fault__refused(void **state)
{
	struct setting s;

	(void)state;
	prepare(&s);
	kube_stop(&s.server);
	begin(&s);
	assert_fault(&s, NULL, CGM_NODE_CONNECT, "");
	kube_wait(nr_cycles(&s) >= 2);
	assert_int_equal(TOLD(&s, nr_answered), 0);
	assert_int_equal(TOLD(&s, nr_asked), 1);
	kube_start(&s.server); /* for end() */
	end(&s);
}

static void test_fault__silent(void **state)
{
	struct setting s;

	(void)state;
	prepare(&s);
	s.config.timeout_ns = 30 * MSEC;
	kube_rule(&s.server, (struct kube_rule){ .match = "", .how = KUBE_SILENT });
	begin(&s);
	assert_fault(&s, NULL, CGM_NODE_TIMEOUT, "no answer in time");
	end(&s);
}

static void test_fault__cut(void **state)
{
	struct setting s;

	(void)state;
	prepare(&s);
	kube_rule(&s.server, (struct kube_rule){ .match = "", .status = 200, .how = KUBE_CUT, .body = SUMMARY });
	begin(&s);
	kube_wait(state_of(&s, NULL).nr_failed[CGM_NODE_CONNECT] > 0);
	assert_int_equal(nr_nodes(&s), 0);
	end(&s);
}

static void test_fault__nonsense(void **state)
{
	struct setting s;

	(void)state;
	prepare(&s);
	serve(&s, "", 0, 200, "<html>");
	begin(&s);
	assert_fault(&s, NULL, CGM_NODE_NONSENSE, "/stats/summary: ");
	end(&s);
	prepare(&s);
	serve(&s, "", 0, 200, "[]"); /* no fault of JSON's, but there is nothing in it */
	begin(&s);
	kube_wait(state_of(&s, NULL).nr_failed[CGM_NODE_NONSENSE] > 0);
	assert_int_equal(nr_nodes(&s), 0);
	end(&s);
}

/* Larger than allowed, said or not; or it comes and comes. */
static void test_fault__too_large(void **state)
{
	struct setting s;

	(void)state;
	prepare(&s);
	s.config.max_bytes = 100;
	serve(&s, "", 0, 200, SUMMARY);
	begin(&s);
	assert_fault(&s, NULL, CGM_NODE_TOO_LARGE, "an answer of more than 100 bytes");
	end(&s);

	prepare(&s);
	s.config.max_bytes = 10000;
	s.config.resolution_ns = 1000 * MSEC;
	kube_rule(&s.server, (struct kube_rule){ .match = "", .status = 200, .how = KUBE_STREAM, .body = "{" });
	begin(&s);
	while (state_of(&s, NULL).nr_failed[CGM_NODE_TOO_LARGE] == 0 && state_of(&s, NULL).nr_failed[CGM_NODE_TIMEOUT] == 0)
		if (kube_has_stream(&s.server))
			kube_push(&s.server, "\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\":1,");
	assert_true(nr_nodes(&s) == 0);
	end(&s);
}

static void test_fault__texts(void **state)
{
	struct cgm_kube_node kube = { .name = "n" };
	struct cgm_source_node n = { .base = (char[]){ "https://10.0.0.1:10250" }, .kube = &kube };
	struct cgm_source s = { 0 };
	char text[CGM_SOURCE_FAULT];

	(void)state;
	s.options.kind = CGM_SOURCE_KUBERNETES;
	assert_int_equal(cgm_source_status_fault(&s, &n, CGM_DECODE_SUMMARY, 403, text), CGM_NODE_DENIED);
	assert_string_equal(text, "403 Forbidden for /stats/summary: our role lacks the RBAC right \"get nodes/stats\"");
	cgm_source_status_fault(&s, &n, CGM_DECODE_CONTAINERS, 403, text);
	assert_non_null(strstr(text, "\"create nodes/stats\""));
	cgm_source_status_fault(&s, &n, CGM_DECODE_RESOURCE, 403, text);
	assert_non_null(strstr(text, "\"get nodes/metrics\""));
	cgm_source_status_fault(&s, &n, CGM_DECODE_COMPACT, 403, text);
	assert_non_null(strstr(text, "\"get nodes/proxy\""));
	cgm_source_status_fault(&s, &n, CGM_DECODE_SUMMARY, 401, text);
	assert_non_null(strstr(text, "we have no token"));
	assert_int_equal(cgm_source_status_fault(&s, &n, CGM_DECODE_SUMMARY, 301, text), CGM_NODE_STATUS);
	assert_string_equal(text, "301 for /stats/summary: redirects are not followed");
	assert_int_equal(cgm_source_curl_fault(&s, &n, CURLE_PEER_FAILED_VERIFICATION, "SSL: no alternative certificate subject name matches target host name '10.0.0.1'", text), CGM_NODE_TLS);
	assert_non_null(strstr(text, "no such IP SAN"));
	assert_int_equal(cgm_source_curl_fault(&s, &n, CURLE_PEER_FAILED_VERIFICATION, "unable to get local issuer certificate", text), CGM_NODE_TLS);
	assert_non_null(strstr(text, "kubeletCaFile"));
	assert_int_equal(cgm_source_curl_fault(&s, &n, CURLE_OUT_OF_MEMORY, "", text), CGM_NODE_MEMORY);
	assert_int_equal(cgm_source_curl_fault(&s, &n, CURLE_WEIRD_SERVER_REPLY, "", text), CGM_NODE_NONSENSE);
	n.base = (char[]){ "http://10.0.0.1:10255" };
	assert_int_equal(cgm_source_curl_fault(&s, &n, CURLE_COULDNT_CONNECT, "Connection refused", text), CGM_NODE_CONNECT);
	assert_string_equal(text, "connection refused on port 10255: the kubelet's read-only port is off; use kubeletHttps=true (port 10250)");
	cgm_source_status_fault(&s, &n, CGM_DECODE_SUMMARY, 401, text);
	assert_non_null(strstr(text, "use kubeletHttps=true"));
	kube.resource_path = "/m/x";
	cgm_source_status_fault(&s, &n, CGM_DECODE_RESOURCE, 500, text);
	assert_string_equal(text, "500 for /m/x");
	kube.resource_path = "/m x";
	cgm_source_status_fault(&s, &n, CGM_DECODE_RESOURCE, 500, text);
	assert_string_equal(text, "500 for /metrics/resource");
}

/* ---- the living and the dead ---- */

#define NR_DEAD 24

/* It takes connections, and that is all. */
static int hanging_listener(unsigned *ret_port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(a);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(listen(fd, 64), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
	*ret_port = ntohs(a.sin_port);
	return fd;
}

static void test_dead_nodes(void **state)
{
	struct cgm_buf uri = { 0 };
	struct setting s;
	int fds[NR_DEAD];
	unsigned before;

	(void)state;
	prepare(&s);
	serve(&s, "GET /stats/summary ", 0, 200, SUMMARY);
	cgm_buf_printf(&uri, "%s", s.uri);
	for (int i = 0; i < NR_DEAD; i++) {
		unsigned port;

		fds[i] = hanging_listener(&port);
		cgm_buf_printf(&uri, ",http://127.0.0.1:%u", port);
	}
	cgm_buf_char(&uri, '\0');
	s.config.uri = uri.p;
	s.config.max_parallel = 4;
	s.config.resolution_ns = 300 * MSEC;
	begin(&s);
	/* In the first cycle the living one may wait in vain; once they are known as dead they take nobody's place. */
	kube_wait(nr_cycles(&s) >= 2);
	before = nr_nodes(&s);
	kube_wait(nr_nodes(&s) >= before + 2);
	kube_wait(TOLD(&s, nr_answered) == 1);
	assert_int_equal(TOLD(&s, nr_asked), NR_DEAD + 1);
	assert_true(cgm_source_stats(s.source).nr_silent == NR_DEAD);
	assert_true(cgm_source_stats(s.source).nr_ready == NR_DEAD + 1);
	end(&s);
	for (int i = 0; i < NR_DEAD; i++)
		close(fds[i]);
	cgm_buf_done(&uri);
}

/* ---- lists ---- */

static void write_file(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static void test_list__file(void **state)
{
	char path[] = "/tmp/cgmeter-test-XXXXXX", text[400];
	int fd = mkstemp(path);
	struct setting s;

	(void)state;
	close(fd);
	unlink(path);
	prepare(&s);
	serve(&s, "GET /stats/summary ", 0, 200, SUMMARY);
	snprintf(s.uri, sizeof(s.uri), "nodes:%s", path);
	begin(&s);
	kube_wait(strstr(cgm_source_stats(s.source).list_fault, "No such file"));
	assert_int_equal(nr_cycles(&s), 0);

	snprintf(text, sizeof(text), "# ours\n\n  127.0.0.1:%u \r\nhttp://x:y:z\n", s.server.port);
	write_file(path, text);
	kube_wait(nr_nodes(&s) >= 1);
	assert_non_null(strstr(cgm_source_stats(s.source).list_fault, ":4: host: an IPv6 address must be put in [ ]"));
	assert_true(cgm_source_stats(s.source).nr_nodes == 1);

	snprintf(text, sizeof(text), "http://127.0.0.1:%u\nhttp://localhost:%u\nhttp://localhost:%u/\n", s.server.port, s.server.port, s.server.port);
	write_file(path, text);
	kube_wait(cgm_source_stats(s.source).nr_nodes == 2); /* one is there twice */
	assert_string_equal(cgm_source_stats(s.source).list_fault, "");
	snprintf(text, sizeof(text), "127.0.0.1:%u", s.server.port);
	assert_true(state_of(&s, text).nr_ok >= 1); /* it stays who it is */
	kube_wait(is_named(&s, "localhost"));

	write_file(path, "");
	kube_wait(cgm_source_stats(s.source).nr_nodes == 0);
	unlink(path);
	kube_wait(strstr(cgm_source_stats(s.source).list_fault, "the last list is used"));
	end(&s);
}

static void test_list__hosts(void **state)
{
	char path[] = "/tmp/cgmeter-test-XXXXXX";
	struct setting s;

	(void)state;
	close(mkstemp(path));
	write_file(path, "{\"Items\":[{\"Name\":\"one\",\"IP\":\"127.0.0.1\"},{\"Name\":\"bad\",\"IP\":\"a b\"},{\"IP\":7},{}],\"x\":[]}");
	prepare(&s);
	serve(&s, "POST /api/v1.3/subcontainers ", 0, 200, SUBCONTAINERS);
	snprintf(s.uri, sizeof(s.uri), "cadvisor:external?hostsFile=%s&cadvisorPort=%u", path, s.server.port);
	begin(&s);
	kube_wait(nr_nodes(&s) >= 1);
	pthread_mutex_lock(&s.lock);
	assert_memory_equal(s.names, "one ", 4);
	assert_string_equal(s.hostname, "127.0.0.1");
	pthread_mutex_unlock(&s.lock);
	assert_true(cgm_source_stats(s.source).nr_nodes == 1);
	assert_true(*cgm_source_stats(s.source).list_fault);
	write_file(path, "no JSON");
	kube_wait(strstr(cgm_source_stats(s.source).list_fault, "no object") || strstr(cgm_source_stats(s.source).list_fault, "byte"));
	end(&s);
	unlink(path);
}

static void test_list__address(void **state)
{
	static const struct {
		const char *text, *name, *base;
	} good[] = {
		{ "a", "a", "http://a:8080" },
		{ "http://a:8080/", "a", "http://a:8080" },
		{ "https://a:10250", "a:10250", "https://a:10250" },
		{ "http://[fd00::1]:8080", "fd00::1", "http://[fd00::1]:8080" },
		{ "http://[fd00::1]:9", "[fd00::1]:9", "http://[fd00::1]:9" },
		{ "http://u:$HOME@a/x//", "a", "http://a:8080/x" },
	};
	struct cgm_source_node *n;
	char fault[CGM_SOURCE_FAULT];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		n = NULL;
		assert_int_equal(cgm_source_address_read(good[i].text, &n, fault), 0);
		assert_string_equal(n->name, good[i].name);
		assert_string_equal(n->base, good[i].base);
		if (n->password)
			assert_string_equal(n->password, "$HOME");
		cgm_source_node_free(n);
	}
	assert_int_equal(cgm_source_address_read("http://", &n, fault), -EINVAL);
	assert_int_equal(cgm_source_address_read("gopher://a", &n, fault), -EINVAL);
	assert_int_equal(cgm_source_address_read("a b", &n, fault), -EINVAL);
}

static void test_shards(void **state)
{
	struct setting s;
	size_t nr = 0;

	(void)state;
	/* Replicas of two versions must agree, so this may never change. */
	assert_true(cgm_hash_bytes("node-1", 6) % 3 == 1);
	for (unsigned shard = 0; shard < 3; shard++) {
		prepare(&s);
		snprintf(s.uri, sizeof(s.uri), "nodes:a:1,b:1,c:1,d:1,e:1,f:1,g:1,h:1,i:1");
		s.config.shard = shard;
		s.config.nr_shards = 3;
		cgm_source_pause((begin(&s), s.source), false);
		kube_wait(cgm_source_stats(s.source).nr_nodes > 0);
		assert_true(cgm_source_stats(s.source).nr_nodes < 9);
		nr += cgm_source_stats(s.source).nr_nodes;
		end(&s);
	}
	assert_int_equal(nr, 9);
}

/* ---- an API server's nodes ---- */

#define NODE(name, ip, ready, meta)                                                                                                                          \
	"{\"metadata\":{\"name\":\"" name "\",\"uid\":\"u\",\"resourceVersion\":\"7\"" meta "},\"status\":{\"conditions\":[{\"type\":\"Ready\",\"status\":\"" ready \
	"\"}],\"addresses\":[" ip "]}}"
#define IP "{\"type\":\"InternalIP\",\"address\":\"127.0.0.1\"},{\"type\":\"Hostname\",\"address\":\"host-a\"}"

static void test_kubernetes(void **state)
{
	struct cgm_kube_cluster_config cc = { .no_pods = true };
	struct cgm_source_kube_texts texts;
	struct cgm_kube_config kc;
	struct setting s;
	char fault[CGM_SOURCE_FAULT];
	bool needed;

	(void)state;
	prepare(&s);
	serve(&s, "GET /api/v1/nodes?limit=", 0, 200,
	      "{\"metadata\":{\"resourceVersion\":\"5\"},\"items\":[" NODE("a", IP, "True", ",\"annotations\":{\"id\":\"h7\"}") "," NODE("b", IP, "False", "") "," NODE(
		      "c", "", "True", "") "," NODE("d", "{\"type\":\"InternalIP\",\"address\":\"evil/x?\"}", "True", "") "]}");
	kube_rule(&s.server, (struct kube_rule){ .match = "watch=1", .status = 200, .how = KUBE_STREAM });
	serve(&s, "GET /stats/summary ", 0, 200, SUMMARY);
	snprintf(s.uri, sizeof(s.uri), "kubernetes.summary_api:%s?inClusterConfig=false&kubeletPort=%u&host_id_annotation=id", s.server.url, s.server.port);
	assert_int_equal(cgm_source_start(&s.config, &s.source, fault), -EINVAL);
	assert_string_equal(fault, "it needs an API server, and there is none");
	assert_int_equal(cgm_source_kube_config(s.uri, &kc, &needed, &texts, fault), 0);
	assert_int_equal(cgm_kube_open(&kc, &s.config.kube, fault), 0);
	cc.kube = s.config.kube;
	assert_int_equal(cgm_kube_cluster_new(&cc, &s.config.cluster), 0);
	begin(&s);
	kube_wait(nr_nodes(&s) >= 2 && nr_cycles(&s) >= 2);
	/* Its name is what the API says, not what it says itself. */
	pthread_mutex_lock(&s.lock);
	assert_memory_equal(s.names, "a a ", 4);
	assert_string_equal(s.host_id, "h7");
	assert_string_equal(s.hostname, "host-a");
	assert_int_equal(s.nr_asked, 1);
	pthread_mutex_unlock(&s.lock);
	assert_false(state_of(&s, "b").ready);
	assert_string_equal(state_of(&s, "b").fault, "not asked: the API server says that it is not Ready");
	assert_string_equal(state_of(&s, "c").fault, "not asked: the API server knows no address of it");
	assert_string_equal(state_of(&s, "d").address, "");
	assert_true(cgm_source_stats(s.source).nr_nodes == 4 && cgm_source_stats(s.source).nr_ready == 1);
	assert_string_equal(cgm_source_stats(s.source).list_fault, "");
	/* It becomes ready, at the same address as another. */
	kube_push(&s.server, "{\"type\":\"MODIFIED\",\"object\":" NODE("b", IP, "True", "") "}\n{\"type\":\"DELETED\",\"object\":" NODE("c", "", "True", "") "}\n");
	kube_wait(is_named(&s, "b "));
	kube_wait(cgm_source_stats(s.source).nr_nodes == 3);
	assert_true(state_of(&s, "a").nr_ok >= 2);
	cgm_source_stop(s.source);
	s.source = NULL;
	cgm_kube_cluster_free(s.config.cluster);
	cgm_kube_close(s.config.kube);
	cgm_source_kube_texts_done(&texts);
	end(&s);
}

/* No token over plain HTTP, though there is one. */
static void test_token__not_over_http(void **state)
{
	char path[] = "/tmp/cgmeter-test-XXXXXX";
	struct setting s;

	(void)state;
	close(mkstemp(path));
	write_file(path, "geheim\n");
	prepare(&s);
	serve(&s, "GET /stats/summary ", 0, 200, SUMMARY);
	snprintf(s.uri, sizeof(s.uri), "nodes:%s?tokenFile=%s", s.server.url, path);
	begin(&s);
	kube_wait(nr_nodes(&s) >= 1);
	assert_int_equal(kube_nr_requests(&s.server, "geheim"), 0);
	assert_int_equal(kube_nr_requests(&s.server, "Bearer"), 0);
	end(&s);
	unlink(path);
}

/* ---- time ---- */

static void test_windows(void **state)
{
	struct setting s;
	struct cgm_source_stats stats;

	(void)state;
	prepare(&s);
	serve(&s, "GET /stats/summary ", 0, 200, SUMMARY);
	begin(&s);
	kube_wait(nr_cycles(&s) >= 6);
	cgm_source_pause(s.source, true);
	stats = cgm_source_stats(s.source);
	pthread_mutex_lock(&s.lock);
	assert_false(s.uneven);
	/* One after the other: five seconds are five seconds. */
	assert_true((s.last_end_ns - s.first_end_ns) / s.config.resolution_ns <= s.nr_cycles - 1 + stats.nr_skipped + 1);
	pthread_mutex_unlock(&s.lock);
	assert_true(stats.nr_cycles >= 6 && stats.nr_requests >= 6 && stats.nr_bytes > 0 && stats.last_cycle_end_ns > 0);
	end(&s);
}

static void test_pause(void **state)
{
	struct setting s;
	size_t nr, later;
	unsigned cycles, turns = 0;

	(void)state;
	prepare(&s);
	serve(&s, "GET /stats/summary ", 0, 200, SUMMARY);
	begin(&s);
	kube_wait(nr_cycles(&s) >= 1);
	cgm_source_pause(s.source, true);
	do { /* what is under way may take its time; five cycles have no request, then */
		nr = kube_nr_requests(&s.server, "");
		cycles = nr_cycles(&s);
		nanosleep(&(struct timespec){ .tv_nsec = 250000000 }, NULL);
		later = kube_nr_requests(&s.server, "");
	} while (later != nr && ++turns < 20);
	assert_int_equal(later, nr);
	cgm_source_pause(s.source, false);
	kube_wait(nr_cycles(&s) > cycles);
	assert_false(TOLD(&s, uneven));
	end(&s);
}

static void test_skew(void **state)
{
	struct cgm_draft_set set = { .scraped_ns = 5000000000 };
	struct cgm_draft d = { .sets = &set, .nr_sets = 1 }, none = { 0 };
	struct setting s;

	(void)state;
	assert_true(cgm_source_skew("Sun, 22 Nov 2026 16:24:40 GMT", &d, 1795364680000000000, 1795364681000000000) == 0);
	assert_true(cgm_source_skew("Sun, 22 Nov 2026 16:34:40 GMT", &d, 1795364680000000000, 1795364681000000000) == 600 * (int64_t)CGM_NSEC_PER_SEC);
	assert_true(cgm_source_skew("yesterday", &d, 4000000000, 4000000000) == 1000000000);
	assert_true(cgm_source_skew(NULL, &d, 6000000000, 6000000000) == -1000000000);
	assert_true(cgm_source_skew(NULL, &none, 1, 2) == INT64_MIN);
	prepare(&s);
	kube_rule(&s.server, (struct kube_rule){ .match = "GET /stats/summary ", .status = 200, .headers = "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n", .body = SUMMARY });
	begin(&s);
	kube_wait(nr_nodes(&s) >= 1);
	kube_wait(cgm_source_stats(s.source).nr_skewed == 1);
	assert_true(state_of(&s, NULL).skew_ns < -(int64_t)CGM_SOURCE_SKEW_NS);
	end(&s);
}

static void test_stop__at_once(void **state)
{
	struct setting s;
	uint64_t begin_ns;

	(void)state;
	prepare(&s);
	kube_rule(&s.server, (struct kube_rule){ .match = "", .how = KUBE_SILENT });
	s.config.resolution_ns = 60000 * MSEC;
	begin(&s);
	nanosleep(&(struct timespec){ .tv_nsec = 30000000 }, NULL);
	begin_ns = cgm_clock_mono_ns();
	cgm_source_stop(s.source);
	assert_true(cgm_clock_mono_ns() - begin_ns < 30 * CGM_NSEC_PER_SEC);
	s.source = NULL;
	end(&s);
}

static void test_no_memory(void **state)
{
	(void)state;
	for (unsigned long n = 1; n < 40; n++) {
		struct setting s;
		char fault[CGM_SOURCE_FAULT] = "";
		int r;

		prepare(&s);
		serve(&s, "GET /stats/summary ", 0, 200, SUMMARY);
		s.config.resolution_ns = 20 * MSEC;
		cgm_mem_fail_at(n);
		r = cgm_source_start(&s.config, &s.source, fault);
		if (r == 0)
			kube_wait(nr_nodes(&s) >= 1); /* it comes to itself again */
		else
			assert_true(r == -ENOMEM && *fault);
		cgm_mem_fail_at(0);
		if (r < 0)
			s.source = NULL;
		end(&s);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_check),
		cmocka_unit_test(test_kube_config),
		cmocka_unit_test(test_probe__own_list),
		cmocka_unit_test(test_probe__anew),
		cmocka_unit_test(test_probe__kept_in_trouble),
		cmocka_unit_test(test_forms),
		cmocka_unit_test(test_fault__status),
		cmocka_unit_test(test_fault__denied),
		cmocka_unit_test(test_fault__refused),
		cmocka_unit_test(test_fault__silent),
		cmocka_unit_test(test_fault__cut),
		cmocka_unit_test(test_fault__nonsense),
		cmocka_unit_test(test_fault__too_large),
		cmocka_unit_test(test_fault__texts),
		cmocka_unit_test(test_dead_nodes),
		cmocka_unit_test(test_list__file),
		cmocka_unit_test(test_list__hosts),
		cmocka_unit_test(test_list__address),
		cmocka_unit_test(test_shards),
		cmocka_unit_test(test_kubernetes),
		cmocka_unit_test(test_token__not_over_http),
		cmocka_unit_test(test_windows),
		cmocka_unit_test(test_pause),
		cmocka_unit_test(test_skew),
		cmocka_unit_test(test_stop__at_once),
		cmocka_unit_test(test_no_memory),
	};

	cgm_log_set_level(getenv("V") ? CGM_LOG_DEBUG : CGM_LOG_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
