// SPDX-License-Identifier: Apache-2.0
/* What nodes are shown (a token, a certificate, a name and password), and whose certificates are believed. Nothing of it goes over plain HTTP but what stands in a node's own address. */
#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "source/internal.h"

/* Out of the same files as for the API server; a made-up address over TLS has the service account's read. */
static int read_kube(struct cgm_source *s, char *fault)
{
	const struct cgm_source_options *o = &s->options;
	struct cgm_source_kube_texts texts = { 0 };
	struct cgm_kube_config c = { 0 };
	bool needed, own_ca = o->ca_file != NULL;
	int r = cgm_source_kube_config(s->config.uri, &c, &needed, &texts, fault);

	if (r < 0)
		return r;
	if (!c.kubeconfig)
		c.url = "https://kubelet";
	c.ca_file = o->ca_file;
	c.cert_file = o->cert_file;
	c.key_file = o->key_file;
	r = cgm_kube_target_read(&c, &s->login, fault);
	cgm_source_kube_texts_done(&texts);
	/* As Heapster has it: where no authority is known nothing is verified, and insecure makes it forget the one it knows. */
	s->verify = !o->kubelet_insecure && (own_ca || (!o->insecure && !s->login.insecure && (s->login.ca.path || s->login.ca.data)));
	return r;
}

static int copy(const char *text, char **ret, char *fault)
{
	*ret = text ? cgm_strdup(text) : NULL;
	if (!text || *ret)
		return 0;
	snprintf(fault, CGM_SOURCE_FAULT, "out of memory");
	return -ENOMEM;
}

static int read_own(struct cgm_source *s, char *fault)
{
	const struct cgm_source_options *o = &s->options;
	int r = copy(o->ca_file, &s->login.ca.path, fault);

	if (r == 0)
		r = copy(o->cert_file, &s->login.cert.path, fault);
	if (r == 0)
		r = copy(o->key_file, &s->login.key.path, fault);
	if (r == 0)
		r = copy(o->token_file, &s->login.token_file, fault);
	s->verify = !o->kubelet_insecure;
	return r;
}

static bool add_header(struct cgm_source *s, struct curl_slist **list, const char *line)
{
	struct curl_slist *more = s->curl->curl_slist_append(*list, line);

	if (more)
		*list = more;
	return more;
}

static const char *current_token(struct cgm_source *s)
{
	int r;

	if (!s->token.path)
		return s->login.token;
	r = cgm_kube_token_refresh(&s->token, false);
	if (r < 0 && !s->said_token)
		cgm_warning("token %s: %s; %s", s->token.path, r == -EINVAL ? "it holds no token" : strerror(-r),
			    s->token.text ? "the last one that was known is shown" : "none is shown to nodes");
	s->said_token = r < 0;
	return s->token.text ? s->token.text : s->login.token;
}

static void free_token_headers(struct cgm_source *s)
{
	for (struct curl_slist *l = s->token_headers; l; l = l->next)
		explicit_bzero(l->data, strlen(l->data));
	s->curl->curl_slist_free_all(s->token_headers);
	s->curl->curl_slist_free_all(s->token_post_headers);
	s->token_headers = s->token_post_headers = NULL;
}

void cgm_source_login_refresh(struct cgm_source *s)
{
	_cleanup_free_ char *line = NULL;
	const char *token = current_token(s);

	line = token ? cgm_asprintf("Authorization: Bearer %s", token) : NULL;
	if (line && s->token_headers && strcmp(s->token_headers->data, line) == 0) {
		explicit_bzero(line, strlen(line));
		return;
	}
	free_token_headers(s);
	if (!line)
		return;
	/* The token's own line first: it is compared above. */
	if (!add_header(s, &s->token_headers, line) || !add_header(s, &s->token_post_headers, line) ||
	    !add_header(s, &s->token_post_headers, "Content-Type: application/json") || !add_header(s, &s->token_post_headers, "Expect:"))
		free_token_headers(s);
	explicit_bzero(line, strlen(line));
}

int cgm_source_login_open(struct cgm_source *s, char *fault)
{
	int r = cgm_source_needs_kube(&s->options) ? s->options.kubelet_https ? read_kube(s, fault) : 0 : read_own(s, fault);

	if (r < 0)
		return r;
	s->token.path = s->login.token_file;
	if (!add_header(s, &s->post_headers, "Content-Type: application/json") || !add_header(s, &s->post_headers, "Expect:")) {
		snprintf(fault, CGM_SOURCE_FAULT, "out of memory");
		return -ENOMEM;
	}
	if (s->options.kubelet_https && !s->verify)
		cgm_warning("the certificates of kubelets are not verified%s", s->options.kubelet_insecure || s->options.insecure ? ", as was asked for" : ": no authority (CA) is known");
	return 0;
}

void cgm_source_login_done(struct cgm_source *s)
{
	if (s->curl) {
		free_token_headers(s);
		s->curl->curl_slist_free_all(s->post_headers);
	}
	cgm_kube_token_done(&s->token);
	cgm_kube_target_done(&s->login);
}

static CURLcode set_pem(struct cgm_source *s, CURL *easy, const struct cgm_kube_pem *pem, CURLoption file, CURLoption blob)
{
	struct curl_blob b = { .data = pem->data, .len = pem->len, .flags = CURL_BLOB_NOCOPY };

	if (pem->data)
		return s->curl->curl_easy_setopt(easy, blob, &b);
	return pem->path ? s->curl->curl_easy_setopt(easy, file, pem->path) : CURLE_OK;
}

static bool set_tls(struct cgm_source *s, CURL *easy)
{
	const struct cgm_kube_target *t = &s->login;
	CURLcode bad = CURLE_OK;

	if (s->verify)
		bad |= set_pem(s, easy, &t->ca, CURLOPT_CAINFO, CURLOPT_CAINFO_BLOB);
	bad |= set_pem(s, easy, &t->cert, CURLOPT_SSLCERT, CURLOPT_SSLCERT_BLOB);
	bad |= set_pem(s, easy, &t->key, CURLOPT_SSLKEY, CURLOPT_SSLKEY_BLOB);
	bad |= s->curl->curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, s->verify ? 1L : 0L);
	bad |= s->curl->curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, s->verify ? 2L : 0L);
	return bad == CURLE_OK;
}

bool cgm_source_login_set(struct cgm_source *s, const struct cgm_source_node *n, CURL *easy, bool post)
{
	bool tls = strncmp(n->base, "https:", 6) == 0, token = tls && s->token_headers && !n->user;
	CURLcode bad = CURLE_OK;

	bad |= s->curl->curl_easy_setopt(easy, CURLOPT_HTTPHEADER, token ? post ? s->token_post_headers : s->token_headers : post ? s->post_headers : NULL);
	bad |= s->curl->curl_easy_setopt(easy, CURLOPT_USERNAME, n->user);
	bad |= s->curl->curl_easy_setopt(easy, CURLOPT_PASSWORD, n->user ? n->password ? n->password : "" : NULL);
	return bad == CURLE_OK && (!tls || set_tls(s, easy));
}
