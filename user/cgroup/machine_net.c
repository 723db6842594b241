// SPDX-License-Identifier: Apache-2.0
/* Network interfaces of the machine. */
#include "cgroup/machine_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/mem.h"

#define MAX_PROC_BYTES (16 << 20)

bool cgm_net_skipped(const char *name)
{
	static const char *const prefixes[] = { "lo", "veth", "docker", "nerdctl" };

	for (size_t i = 0; i < ARRAY_SIZE(prefixes); i++)
		if (strncasecmp(name, prefixes[i], strlen(prefixes[i])) == 0)
			return true;
	return false;
}

static int add_iface(const struct cgm_net_dev *d, struct cgm_sample *s)
{
	struct cgm_iface_row *row;
	char name[16] = "";

	memcpy(name, d->name.p, MIN(d->name.len, sizeof(name) - 1));
	if (cgm_net_skipped(name))
		return 0;
	row = cgm_sample_iface(s, name);
	if (!row)
		return -ENOMEM;
	row->v[CGM_IFACE_RX_BYTES] = d->rx_bytes;
	row->v[CGM_IFACE_RX_PACKETS] = d->rx_packets;
	row->v[CGM_IFACE_RX_ERRORS] = d->rx_errors;
	row->v[CGM_IFACE_RX_DROPPED] = d->rx_dropped;
	row->v[CGM_IFACE_TX_BYTES] = d->tx_bytes;
	row->v[CGM_IFACE_TX_PACKETS] = d->tx_packets;
	row->v[CGM_IFACE_TX_ERRORS] = d->tx_errors;
	row->v[CGM_IFACE_TX_DROPPED] = d->tx_dropped;
	return 0;
}

int cgm_machine_sample_net(int root_fd, struct cgm_sample *s)
{
	_cleanup_free_ char *text = NULL;
	struct cgm_str rest, line;
	struct cgm_net_dev d;
	size_t len;
	int r = cgm_read_all_at(root_fd, "proc/1/net/dev", MAX_PROC_BYTES, &text, &len);

	if (r < 0 && r != -ENOMEM)
		r = cgm_read_all_at(root_fd, "proc/net/dev", MAX_PROC_BYTES, &text, &len);
	if (r < 0)
		return r;
	rest = (struct cgm_str){ text, len };
	while (cgm_next_line(&rest, &line)) {
		if (cgm_text_net_dev(line, &d) < 0)
			continue;
		r = add_iface(&d, s);
		if (r < 0)
			return r;
	}
	return 0;
}

/* A link that is down or has no speed answers EINVAL: 0 then. */
static int64_t read_signed(int dir_fd, const char *path)
{
	char buf[64];
	int64_t v;

	if (cgm_read_line_at(dir_fd, path, buf, sizeof(buf)) < 0 || cgm_parse_i64(cgm_trim(cgm_str(buf)), &v) < 0)
		return 0;
	return v;
}

static int by_nic_name(const void *a, const void *b)
{
	return strcmp(((const struct cgm_net_info *)a)->name, ((const struct cgm_net_info *)b)->name);
}

int cgm_machine_nics(int root_fd, struct cgm_machine *m)
{
	_cleanup_closedir_ DIR *dir = cgm_opendir_at(root_fd, "sys/class/net");
	struct dirent *e;
	size_t cap = 0;

	if (!dir)
		return 0;
	while ((e = readdir(dir)) != NULL) {
		struct cgm_net_info nic = { 0 };
		char path[300];

		if (e->d_name[0] == '.' || cgm_net_skipped(e->d_name) || strlen(e->d_name) >= sizeof(nic.name))
			continue;
		snprintf(nic.name, sizeof(nic.name), "%.15s", e->d_name);
		/* bonding_masters is a plain file beside the interfaces. */
		snprintf(path, sizeof(path), "%s/address", nic.name);
		if (cgm_read_line_at(dirfd(dir), path, nic.mac, sizeof(nic.mac)) == -ENOTDIR)
			continue;
		snprintf(path, sizeof(path), "%s/speed", nic.name);
		nic.speed_mbps = read_signed(dirfd(dir), path);
		snprintf(path, sizeof(path), "%s/mtu", nic.name);
		nic.mtu = read_signed(dirfd(dir), path);
		if (cgm_grow((void **)&m->nics, &cap, m->nr_nics, sizeof(*m->nics)) < 0)
			return -ENOMEM;
		m->nics[m->nr_nics++] = nic;
	}
	if (m->nr_nics)
		qsort(m->nics, m->nr_nics, sizeof(*m->nics), by_nic_name);
	return 0;
}
