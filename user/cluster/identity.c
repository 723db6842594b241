// SPDX-License-Identifier: Apache-2.0
#include "cluster/identity.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/log.h"
#include "base/mem.h"
#include "output/tls_self.h"

enum { CERT, KEY, CLIENT_CA, HEADER_CA };

static int write_all(int fd, const char *p, size_t len)
{
	while (len) {
		ssize_t n = write(fd, p, len);

		if (n < 0 && errno != EINTR)
			return -errno;
		p += MAX(n, 0);
		len -= (size_t)MAX(n, 0);
	}
	return 0;
}

/* A file in memory alone, which whoever reads files finds by its path. */
static int keep(struct cgm_cluster_identity *id, int which, const char *text, size_t len, const char **ret_path)
{
	int fd = memfd_create("cgmeter-tls", MFD_CLOEXEC), r;

	if (fd < 0)
		return -errno;
	id->fds[which] = fd;
	r = write_all(fd, text, len);
	snprintf(id->paths[which], sizeof(id->paths[which]), "/proc/self/fd/%d", fd);
	*ret_path = id->paths[which];
	return r;
}

static int make(struct cgm_buf *cert, struct cgm_buf *key)
{
	const char *pod_namespace = getenv("POD_NAMESPACE"), *ip = getenv("POD_IP");
	char host[128] = "", service[256];
	const char *names[6] = { "cgmeter-cluster" };
	size_t nr = 1;

	gethostname(host, sizeof(host) - 1);
	if (*host)
		names[nr++] = host;
	if (pod_namespace && *pod_namespace) {
		snprintf(service, sizeof(service), "cgmeter-cluster.%.150s.svc", pod_namespace);
		names[nr++] = service;
	}
	if (ip && *ip)
		names[nr++] = ip;
	names[nr++] = "localhost";
	names[nr++] = "127.0.0.1";
	return cgm_tls_self_signed(names, nr, cert, key);
}

static void wipe(struct cgm_buf *b)
{
	if (b->p)
		explicit_bzero(b->p, b->len);
	cgm_buf_done(b);
}

static int save(const char *path, const struct cgm_buf *text, mode_t mode)
{
	_cleanup_close_ int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
	int r = fd < 0 ? -errno : write_all(fd, text->p, text->len);

	if (r < 0)
		cgm_error("--cert_dir: cannot write %s: %s", path, strerror(-r));
	return r;
}

/* Certificate and key in --cert_dir: those that are there, else new ones. */
static int use_dir(struct cgm_cluster_identity *id, const char *dir, const struct cgm_buf *cert, const struct cgm_buf *key)
{
	id->cert_file = id->dir_paths[0];
	id->key_file = id->dir_paths[1];
	if (!cert)
		return 0;
	if (mkdir(dir, 0700) < 0 && errno != EEXIST) {
		int r = -errno;

		cgm_error("--cert_dir: cannot make %s: %s", dir, strerror(-r));
		return r;
	}
	return save(id->key_file, key, 0600) < 0 ? -EIO : save(id->cert_file, cert, 0644);
}

static int choose_certificate(const struct cgm_cluster_options *o, struct cgm_cluster_identity *id)
{
	_cleanup_(wipe) struct cgm_buf cert = { 0 }, key = { 0 };
	int r;

	id->cert_file = o->secure_cert_file;
	id->key_file = o->secure_key_file;
	if (*id->cert_file)
		return 0;
	snprintf(id->dir_paths[0], sizeof(id->dir_paths[0]), "%.480s/apiserver.crt", o->cert_dir);
	snprintf(id->dir_paths[1], sizeof(id->dir_paths[1]), "%.480s/apiserver.key", o->cert_dir);
	if (*o->cert_dir && access(id->dir_paths[0], R_OK) == 0 && access(id->dir_paths[1], R_OK) == 0)
		return use_dir(id, o->cert_dir, NULL, NULL);
	r = make(&cert, &key);
	if (r == 0 && *o->cert_dir)
		r = use_dir(id, o->cert_dir, &cert, &key);
	else if (r == 0)
		r = keep(id, CERT, cert.p, cert.len, &id->cert_file);
	if (r == 0 && !*o->cert_dir)
		r = keep(id, KEY, key.p, key.len, &id->key_file);
	if (r == 0)
		cgm_info("the Metrics API is served with a certificate that was made just now, and that nobody else knows: an APIService needs insecureSkipTLSVerify, or give --tls_cert_file and "
			 "--tls_private_key_file");
	return r;
}

static int ask_authorities(const struct cgm_cluster_options *o, struct cgm_kube *kube, struct cgm_cluster_identity *id)
{
	_cleanup_(cgm_authorities_done) struct cgm_authorities a = { 0 };
	char fault[CGM_KUBE_FAULT];
	int r = cgm_authorities_ask(kube, &a, fault);

	if (r < 0) {
		cgm_log(o->tolerate_lookup ? CGM_LOG_WARNING : CGM_LOG_ERROR, "the API server does not tell whose certificates to trust (kube-system/extension-apiserver-authentication): %s", fault);
		return o->tolerate_lookup ? 0 : r;
	}
	if (a.client_ca && !*id->client_ca_file)
		r = keep(id, CLIENT_CA, a.client_ca, strlen(a.client_ca), &id->client_ca_file);
	if (r == 0 && a.header_ca && !*id->header_ca_file) {
		r = keep(id, HEADER_CA, a.header_ca, strlen(a.header_ca), &id->header_ca_file);
		if (!id->header_names)
			id->header_names = TAKE_PTR(a.header_names);
	}
	return r;
}

int cgm_cluster_identity_open(const struct cgm_cluster_options *o, struct cgm_kube *kube, struct cgm_cluster_identity **ret)
{
	_cleanup_(cgm_cluster_identity_freep) struct cgm_cluster_identity *id = cgm_calloc(1, sizeof(*id));
	int r;

	if (!id)
		return -ENOMEM;
	for (size_t i = 0; i < ARRAY_SIZE(id->fds); i++)
		id->fds[i] = -1;
	id->client_ca_file = o->client_ca_file;
	id->header_ca_file = o->header_ca_file;
	id->header_users = cgm_flags_join(&o->header_users);
	id->header_groups = cgm_flags_join(&o->header_groups);
	id->header_extras = cgm_flags_join(&o->header_extras);
	id->header_names = o->header_names.nr ? cgm_flags_join(&o->header_names) : NULL;
	r = id->header_users && id->header_groups && id->header_extras && (id->header_names || !o->header_names.nr) ? 0 : -ENOMEM;
	if (r == 0)
		r = choose_certificate(o, id);
	if (r == 0 && kube && !o->skip_lookup && (!*id->client_ca_file || !*id->header_ca_file))
		r = ask_authorities(o, kube, id);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(id);
	return 0;
}

void cgm_cluster_identity_close(struct cgm_cluster_identity *id)
{
	if (!id)
		return;
	for (size_t i = 0; i < ARRAY_SIZE(id->fds); i++)
		if (id->fds[i] >= 0)
			close(id->fds[i]);
	free(id->header_names);
	free(id->header_users);
	free(id->header_groups);
	free(id->header_extras);
	free(id);
}
