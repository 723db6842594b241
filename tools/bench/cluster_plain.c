// SPDX-License-Identifier: Apache-2.0
/*
 * bench cluster's yardstick: what a program takes that fetches each node's Summary by libcurl, reads it by jansson and prints a line for each number, with nothing added: no rates, no names, no sums, nothing kept.
 *	cluster_plain ROUNDS URL…	prints "answers numbers cpu_ns"
 */
#include <curl/curl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct bytes {
	char *p;
	size_t len, cap;
};

static size_t on_data(char *p, size_t size, size_t nr, void *arg)
{
	struct bytes *b = arg;

	if (b->len + size * nr > b->cap) {
		b->cap = 2 * (b->len + size * nr);
		b->p = realloc(b->p, b->cap);
	}
	memcpy(b->p + b->len, p, size * nr);
	b->len += size * nr;
	return size * nr;
}

static unsigned long print(const char *name, json_t *value, FILE *out)
{
	unsigned long nr = 0;
	const char *key;
	json_t *child;
	size_t i;

	if (json_is_integer(value))
		return fprintf(out, "%s,cluster_name=default,nodename=node,namespace_name=team,pod_name=web,type=pod value=%lldi 1795363285000000000\n", name, json_integer_value(value)) > 0;
	json_object_foreach(value, key, child)
		nr += print(key, child, out);
	json_array_foreach(value, i, child)
		nr += print(name, child, out);
	return nr;
}

int main(int argc, char *argv[])
{
	unsigned long answers = 0, numbers = 0;
	CURL *curl = curl_easy_init();
	FILE *out = fopen("/dev/null", "w");
	struct bytes body = { 0 };
	struct timespec ts;

	if (argc < 3 || !curl || !out)
		return 2;
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_data);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, &body);
	curl_easy_setopt(curl, CURLOPT_MAXCONNECTS, (long)argc);
	for (long round = 0; round < strtol(argv[1], NULL, 10); round++)
		for (int i = 2; i < argc; i++) {
			json_t *root;

			body.len = 0;
			curl_easy_setopt(curl, CURLOPT_URL, argv[i]);
			if (curl_easy_perform(curl) != CURLE_OK)
				return 1;
			root = json_loadb(body.p, body.len, 0, NULL);
			numbers += print("root", root, out);
			json_decref(root);
			answers++;
		}
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	printf("%lu %lu %lld\n", answers, numbers, (long long)ts.tv_sec * 1000000000 + ts.tv_nsec);
	return 0;
}
