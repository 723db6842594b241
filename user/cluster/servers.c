// SPDX-License-Identifier: Apache-2.0
/* The two ports: the plain one has everything, as Heapster's; the secure one has the Metrics API, for who may. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "cluster/identity.h"
#include "cluster/state.h"
#include "kube/review.h"
#include "output/auth_remote.h"

#define REVIEW_TIMEOUT_NS (5 * CGM_NSEC_PER_SEC)

/* ---- answers ---- */

/* --allowed_users: of who has a certificate, some. */
static bool is_allowed(const struct cgm_cluster_server *s, const struct cgm_ask *a)
{
	if (s->secure || !*s->o->allowed_users || strcmp(a->path, "/healthz") == 0)
		return true;
	return a->user && a->user->name && cgm_auth_is_listed(a->user->name, s->o->allowed_users);
}

static bool answer_plain(const struct cgm_cluster_server *s, const struct cgm_ask *a, struct cgm_reply *r)
{
	if (!s->o->disable_metric_sink && (cgm_serve_model(&s->serve, a, r) || cgm_serve_historical(&s->serve, a, r)))
		return true;
	return cgm_serve_metrics_api(&s->serve, a, r) || cgm_serve_self(&s->serve, a, r) || cgm_serve_board(&s->serve, a, r);
}

static bool answer(void *arg, const struct cgm_ask *a, struct cgm_reply *r)
{
	const struct cgm_cluster_server *s = arg;

	if (!is_allowed(s, a)) {
		cgm_reply_fault(r, 403, "Forbidden");
		return true;
	}
	return s->secure ? cgm_serve_metrics_api(&s->serve, a, r) || cgm_serve_self(&s->serve, a, r) : answer_plain(s, a, r);
}

static void prepare(struct cgm_cluster_state *st, struct cgm_cluster_server *s, bool secure)
{
	const struct cgm_cluster_options *o = st->o;

	s->o = o;
	s->secure = secure;
	s->served = (struct cgm_served){ .answer = answer, .page = secure ? NULL : "cluster.html", .arg = s };
	s->serve = (struct cgm_serve){
		.store = st->store,
		.cluster = st->cluster,
		.source = st->source,
		.process = st->process,
		.export = st->export,
		.historical = o->historical,
		.version = CGM_VERSION,
		.disable_export = o->disable_export,
		.resolution_ns = o->resolution_ns,
		.standby = &st->standby,
	};
}

/* ---- the plain port ---- */

static bool is_loopback(const char *ip)
{
	return strncmp(ip, "127.", 4) == 0 || strcmp(ip, "::1") == 0 || strcmp(ip, "[::1]") == 0;
}

static void say_addresses(const struct cgm_cluster_state *st)
{
	const struct cgm_cluster_options *o = st->o;
	const char *host = *o->listen_ip ? o->listen_ip : "127.0.0.1", *scheme = *o->tls_cert_file ? "https" : "http";
	unsigned port = cgm_http_port(st->plain.http);
	char literal[80];

	if (strcmp(host, "::") == 0 || strcmp(host, "[::]") == 0)
		host = "[::1]";
	snprintf(literal, sizeof(literal), strchr(host, ':') && *host != '[' ? "[%s]" : "%s", host);
	host = literal;
	cgm_info("dashboard  %s://%s:%u/", scheme, host, port);
	cgm_info("model API  %s://%s:%u/api/v1/model/", scheme, host, port);
	cgm_info("metrics    %s://%s:%u/metrics (its own), /metrics/cluster (the cluster's)", scheme, host, port);
	if (!is_loopback(o->listen_ip) && !*o->tls_client_ca_file && !*o->http_auth_file && !*o->http_token_file)
		cgm_info("everybody who reaches this address may ask: see --listen_ip, --tls_client_ca, --http_auth_file and --http_token_file");
}

static int start_plain(struct cgm_cluster_state *st)
{
	const struct cgm_cluster_options *o = st->o;
	struct cgm_http_config config = {
		.listen_ip = o->listen_ip,
		.port = (uint16_t)o->port,
		.served = &st->plain.served,
		.version = CGM_VERSION,
		.root_fd = -1,
		.interval_ns = o->resolution_ns,
		.limits.max_connections = o->max_connections,
		.auth = { .basic_file = o->http_auth_file, .basic_realm = "cgmeter", .token_file = o->http_token_file, .except = o->http_auth_except },
		.tls_cert_file = o->tls_cert_file,
		.tls_key_file = o->tls_key_file,
	};
	int r;

	prepare(st, &st->plain, false);
	config.client_ca_file = o->tls_client_ca_file;
	config.auth.review.certificates = *o->tls_client_ca_file;
	r = cgm_http_start(&config, &st->plain.http);
	if (r == 0)
		say_addresses(st);
	return r;
}

/* ---- the secure port ---- */

static int review_token(void *arg, const char *token, struct cgm_kube_user *ret, char *fault)
{
	struct cgm_cluster_state *st = arg;

	return cgm_kube_token_review(st->authentication, token, ret, fault);
}

static int review_access(void *arg, const struct cgm_kube_user *u, const struct cgm_kube_access *a, char *fault)
{
	struct cgm_cluster_state *st = arg;

	return cgm_kube_access_review(st->authorization, u, a, fault);
}

/* Reviews have a client of their own: they wait less, and end before the server does. */
static int open_reviewer(const struct cgm_cluster_options *o, const char *kubeconfig, struct cgm_kube **ret)
{
	struct cgm_kube_config config = { .kubeconfig = *kubeconfig ? kubeconfig : o->kubeconfig, .timeout_ns = REVIEW_TIMEOUT_NS };
	char fault[CGM_KUBE_FAULT];
	int r = *kubeconfig ? 0 : cgm_cluster_client(o, REVIEW_TIMEOUT_NS, ret);

	if (r < 0 || *ret)
		return r;
	r = cgm_kube_open(&config, ret, fault);
	if (r < 0)
		cgm_error("--api_server: no API server can be asked who may see the metrics (--authentication_kubeconfig, --kubeconfig): %s", fault);
	return r;
}

static int open_reviewers(struct cgm_cluster_state *st)
{
	const struct cgm_cluster_options *o = st->o;
	int r = open_reviewer(o, o->authentication_kubeconfig, &st->authentication);

	if (r == 0 && *o->authorization_kubeconfig)
		return open_reviewer(o, o->authorization_kubeconfig, &st->authorization);
	st->authorization = st->authentication;
	return r;
}

static int start_secure(struct cgm_cluster_state *st)
{
	const struct cgm_cluster_options *o = st->o;
	bool all = strcmp(o->bind_address, "0.0.0.0") == 0 || strcmp(o->bind_address, "::") == 0;
	struct cgm_http_config config = {
		.listen_ip = all ? "" : o->bind_address,
		.port = (uint16_t)o->secure_port,
		.served = &st->secure.served,
		.version = CGM_VERSION,
		.root_fd = -1,
		.interval_ns = o->resolution_ns,
		.limits.max_connections = o->max_connections,
		.auth = { .except = o->open_paths,
			  .review = { .reviewer = { review_token, review_access, st },
				      .tokens = true,
				      .anonymous = true, /* who may do what is the API server's to say */
				      .authorize = true,
				      .token_ns = o->token_ns,
				      .allowed_ns = o->allowed_ns,
				      .denied_ns = o->denied_ns } },
	};
	int r;

	if (!o->api_server || !o->secure_port)
		return 0;
	prepare(st, &st->secure, true);
	r = open_reviewers(st);
	if (r == 0)
		r = cgm_cluster_identity_open(o, st->authentication, &st->identity);
	if (r < 0)
		return r;
	config.tls_cert_file = st->identity->cert_file;
	config.tls_key_file = st->identity->key_file;
	config.client_ca_file = st->identity->client_ca_file;
	config.auth.review.certificates = *st->identity->client_ca_file;
	config.auth.review.headers = (struct cgm_remote_config){
		.ca_file = st->identity->header_ca_file,
		.allowed_names = st->identity->header_names,
		.user_headers = st->identity->header_users,
		.group_headers = st->identity->header_groups,
		.extra_prefixes = st->identity->header_extras,
	};
	r = cgm_http_start(&config, &st->secure.http);
	if (r == 0)
		cgm_info("Metrics API  https://%s:%u/apis/metrics.k8s.io/v1beta1, for who may by %s", all || !*o->bind_address ? "127.0.0.1" : o->bind_address, cgm_http_port(st->secure.http),
			 cgm_kube_server(st->authorization));
	return r;
}

int cgm_cluster_serve(struct cgm_cluster_state *st)
{
	int r = start_plain(st);

	return r == 0 ? start_secure(st) : r;
}

void cgm_cluster_serve_stop(struct cgm_cluster_state *st)
{
	/* The server waits for reviews that are under way. */
	if (st->authentication)
		cgm_kube_cancel(st->authentication);
	if (st->authorization)
		cgm_kube_cancel(st->authorization);
	cgm_http_stop(st->secure.http);
	cgm_http_stop(st->plain.http);
	if (st->authorization != st->authentication)
		cgm_kube_close(st->authorization);
	cgm_kube_close(st->authentication);
	cgm_cluster_identity_close(st->identity);
}
