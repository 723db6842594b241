/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Feeds a fuzz target (LLVMFuzzerTestOneInput) the files of its corpus, one TAP test a file: the normal test run's use of what a
 * fuzzer found. Every input is also given cut off at each of its first bytes, so that a corpus of whole files finds short reads.
 */
#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_INPUT_BYTES (1 << 20)
#define MAX_CUTS 512

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The target gets memory of exactly that size, so that a sanitizer sees a read beyond it. */
static int feed(const uint8_t *data, size_t size)
{
	uint8_t *copy = malloc(size ? size : 1);

	if (!copy)
		return -ENOMEM;
	if (size)
		memcpy(copy, data, size);
	LLVMFuzzerTestOneInput(copy, size);
	free(copy);
	return 0;
}

static int replay(const char *path, uint8_t *buf)
{
	FILE *f = fopen(path, "rb");
	size_t size;
	int r = 0;

	if (!f)
		return -errno;
	size = fread(buf, 1, MAX_INPUT_BYTES, f);
	fclose(f);
	for (size_t cut = 0; r == 0 && cut < size && cut < MAX_CUTS; cut++)
		r = feed(buf, cut);
	return r ? r : feed(buf, size);
}

static int is_input(const struct dirent *e)
{
	return e->d_name[0] != '.';
}

int main(int argc, char **argv)
{
	struct dirent **entries = NULL;
	uint8_t *buf = malloc(MAX_INPUT_BYTES);
	int nr = argc == 2 && buf ? scandir(argv[1], &entries, is_input, alphasort) : -1;
	int failed = 0;

	if (nr <= 0) {
		fprintf(stderr, "usage: %s CORPUS (a directory with at least one file)\n", argv[0]);
		free(buf);
		return 2;
	}
	printf("1..%d\n", nr);
	for (int i = 0; i < nr; i++) {
		char path[4096];
		int r;

		snprintf(path, sizeof(path), "%s/%s", argv[1], entries[i]->d_name);
		r = replay(path, buf);
		failed += r != 0;
		printf("%sok %d - %s\n", r ? "not " : "", i + 1, entries[i]->d_name);
		fflush(stdout);
		free(entries[i]);
	}
	free(entries);
	free(buf);
	return failed ? 1 : 0;
}
