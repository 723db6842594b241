// SPDX-License-Identifier: Apache-2.0
#include "export/prometheus_name.h"

#include <ctype.h>
#include <linux/types.h>
#include <math.h>

#include "base/cleanup.h"
#include "batch/slice.h"
#include "cgmeter/hist.h"

#define PREFIX "cgmeter_cluster_"
_Static_assert(CGM_CH_BUCKETS == (CGM_HIST_BUCKETS - 2) / 4 + 2, "a bucket for each power of two");

static const struct {
	const char *name;
	unsigned digits;
} families[CGM_NR_CM] = {
	[CGM_CM_UPTIME] = { "uptime_seconds", 3 },
	[CGM_CM_CPU_USAGE] = { "cpu_usage_seconds_total", 9 },
	[CGM_CM_CPU_USAGE_RATE] = { "cpu_usage_cores", 3 },
	[CGM_CM_CPU_REQUEST] = { "cpu_request_cores", 3 },
	[CGM_CM_CPU_LIMIT] = { "cpu_limit_cores", 3 },
	[CGM_CM_CPU_NODE_CAPACITY] = { "cpu_node_capacity_cores", 3 },
	[CGM_CM_CPU_NODE_ALLOCATABLE] = { "cpu_node_allocatable_cores", 3 },
	[CGM_CM_CPU_NODE_UTILIZATION] = { "cpu_node_utilization_ratio", 0 },
	[CGM_CM_CPU_NODE_RESERVATION] = { "cpu_node_reservation_ratio", 0 },
	[CGM_CM_MEMORY_USAGE] = { "memory_usage_bytes", 0 },
	[CGM_CM_MEMORY_RSS] = { "memory_rss_bytes", 0 },
	[CGM_CM_MEMORY_CACHE] = { "memory_cache_bytes", 0 },
	[CGM_CM_MEMORY_WORKING_SET] = { "memory_working_set_bytes", 0 },
	[CGM_CM_MEMORY_PAGE_FAULTS] = { "memory_page_faults_total", 0 },
	[CGM_CM_MEMORY_MAJOR_PAGE_FAULTS] = { "memory_major_page_faults_total", 0 },
	[CGM_CM_MEMORY_PAGE_FAULTS_RATE] = { "memory_page_faults_per_second", 0 },
	[CGM_CM_MEMORY_MAJOR_PAGE_FAULTS_RATE] = { "memory_major_page_faults_per_second", 0 },
	[CGM_CM_MEMORY_REQUEST] = { "memory_request_bytes", 0 },
	[CGM_CM_MEMORY_LIMIT] = { "memory_limit_bytes", 0 },
	[CGM_CM_MEMORY_NODE_CAPACITY] = { "memory_node_capacity_bytes", 0 },
	[CGM_CM_MEMORY_NODE_ALLOCATABLE] = { "memory_node_allocatable_bytes", 0 },
	[CGM_CM_MEMORY_NODE_UTILIZATION] = { "memory_node_utilization_ratio", 0 },
	[CGM_CM_MEMORY_NODE_RESERVATION] = { "memory_node_reservation_ratio", 0 },
	[CGM_CM_NETWORK_RX] = { "network_rx_bytes_total", 0 },
	[CGM_CM_NETWORK_RX_ERRORS] = { "network_rx_errors_total", 0 },
	[CGM_CM_NETWORK_TX] = { "network_tx_bytes_total", 0 },
	[CGM_CM_NETWORK_TX_ERRORS] = { "network_tx_errors_total", 0 },
	[CGM_CM_NETWORK_RX_RATE] = { "network_rx_bytes_per_second", 0 },
	[CGM_CM_NETWORK_RX_ERRORS_RATE] = { "network_rx_errors_per_second", 0 },
	[CGM_CM_NETWORK_TX_RATE] = { "network_tx_bytes_per_second", 0 },
	[CGM_CM_NETWORK_TX_ERRORS_RATE] = { "network_tx_errors_per_second", 0 },
	[CGM_CM_RESTART_COUNT] = { "restarts", 0 }, /* a name that ends in _count is a histogram's */
	[CGM_CM_MEMORY_SWAP] = { "memory_swap_bytes", 0 },
	[CGM_CM_CPU_RUN_QUEUE_DELAY] = { "cpu_run_queue_delay_seconds_total", 9 }, /* the histogram is run_queue_delay_seconds */
	[CGM_CM_CPU_RUN_QUEUE_DELAY_RATE] = { "cpu_run_queue_delay_seconds_per_second", 0 },
	[CGM_CM_CPU_THROTTLED] = { "cpu_throttled_seconds_total", 9 },
	[CGM_CM_CPU_THROTTLED_RATE] = { "cpu_throttled_seconds_per_second", 0 },
	[CGM_CM_DISK_WAIT] = { "disk_wait_seconds_total", 9 },
	[CGM_CM_DISK_WAIT_RATE] = { "disk_wait_seconds_per_second", 0 },
	[CGM_CM_NETWORK_TCP_RETRANSMITS] = { "network_tcp_retransmits_total", 0 },
	[CGM_CM_NETWORK_TCP_RETRANSMITS_RATE] = { "network_tcp_retransmits_per_second", 0 },
	[CGM_CM_TASKS] = { "tasks", 0 },
	[CGM_CM_FILESYSTEM_USAGE] = { "filesystem_usage_bytes", 0 },
	[CGM_CM_FILESYSTEM_LIMIT] = { "filesystem_limit_bytes", 0 },
	[CGM_CM_FILESYSTEM_AVAILABLE] = { "filesystem_available_bytes", 0 },
	[CGM_CM_FILESYSTEM_INODES] = { "filesystem_inodes", 0 },
	[CGM_CM_FILESYSTEM_INODES_FREE] = { "filesystem_inodes_free", 0 },
	[CGM_CM_DISK_IO_READ_BYTES] = { "disk_io_read_bytes_total", 0 },
	[CGM_CM_DISK_IO_WRITE_BYTES] = { "disk_io_write_bytes_total", 0 },
	[CGM_CM_DISK_IO_READ_BYTES_RATE] = { "disk_io_read_bytes_per_second", 0 },
	[CGM_CM_DISK_IO_WRITE_BYTES_RATE] = { "disk_io_write_bytes_per_second", 0 },
	[CGM_CM_ACCELERATOR_MEMORY_TOTAL] = { "accelerator_memory_size_bytes", 0 }, /* _total would be a counter's */
	[CGM_CM_ACCELERATOR_MEMORY_USED] = { "accelerator_memory_used_bytes", 0 },
	[CGM_CM_ACCELERATOR_DUTY_CYCLE] = { "accelerator_duty_cycle_ratio", 2 },
	[CGM_CM_CUSTOM] = { "custom", 0 },
};

void cgm_cm_prometheus_name(enum cgm_cm m, struct cgm_buf *out)
{
	cgm_buf_lit(out, PREFIX);
	cgm_buf_str(out, families[m].name);
}

bool cgm_cm_prometheus_is_counter(enum cgm_cm m)
{
	return cgm_cm_table[m].cumulative && m != CGM_CM_UPTIME;
}

unsigned cgm_cm_prometheus_digits(enum cgm_cm m)
{
	return families[m].digits;
}

double cgm_cm_prometheus_value(enum cgm_cm m, union cgm_cm_value v, bool is_float)
{
	static const double powers[] = { 1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9 };

	return (is_float ? v.f : (double)v.i) / powers[families[m].digits];
}

void cgm_ch_prometheus_name(enum cgm_ch h, struct cgm_buf *out)
{
	cgm_buf_lit(out, PREFIX);
	cgm_buf_str(out, cgm_ch_name(h));
	cgm_buf_lit(out, "_seconds");
}

double cgm_ch_bound(unsigned bucket)
{
	return bucket + 1 < CGM_CH_BUCKETS ? ldexp(1, (int)bucket + CGM_HIST_FIRST_LOG2) : INFINITY;
}

void cgm_prometheus_label_name(const char *text, struct cgm_buf *out)
{
	if (!*text || isdigit((unsigned char)*text) || (text[0] && !isalnum((unsigned char)text[0]) && text[1] && !isalnum((unsigned char)text[1])))
		cgm_buf_char(out, 'x');
	for (const char *p = text; *p; p++)
		cgm_buf_char(out, (*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') || (*p >= '0' && *p <= '9') ? *p : '_');
}
