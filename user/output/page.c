// SPDX-License-Identifier: Apache-2.0
/* The page's files, embedded by tools/gen-web. */
#include "output/request.h"

#include <inttypes.h>

#include "base/hash.h"
#include "output/negotiate.h"
#include "web.h"

static const struct cgm_web_file *find_file(const char *name)
{
	for (size_t i = 0; i < cgm_nr_web_files; i++)
		if (strcmp(cgm_web_files[i].name, name) == 0)
			return &cgm_web_files[i];
	return NULL;
}

bool cgm_page_has(const char *name)
{
	return find_file(name) != NULL;
}

static void add_headers(struct MHD_Response *response)
{
	/* Nothing from anywhere else, nothing inline, no markup made of strings, and no other page may frame this one. */
	static const char policy[] = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; "
				     "form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'";

	MHD_add_response_header(response, "Cache-Control", "no-cache"); /* keep it, but ask each time: a new agent brings a new page */
	MHD_add_response_header(response, "Content-Security-Policy", policy);
	MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
	MHD_add_response_header(response, "X-Frame-Options", "DENY");
	MHD_add_response_header(response, "Referrer-Policy", "no-referrer");
	MHD_add_response_header(response, "Cross-Origin-Opener-Policy", "same-origin");
	MHD_add_response_header(response, "Vary", "Accept-Encoding");
}

enum MHD_Result cgm_answer_page_file(struct cgm_request *rq, const char *name)
{
	const struct cgm_web_file *f = find_file(name);
	struct MHD_Response *response;
	unsigned status = MHD_HTTP_OK;
	bool packed;
	char etag[32];

	if (!f)
		return cgm_answer_error(rq, MHD_HTTP_NOT_FOUND, "unknown file \"%s\"", name);
	packed = f->packed && cgm_accepts_gzip(cgm_request_header(rq, "Accept-Encoding"));
	snprintf(etag, sizeof(etag), "\"%016" PRIx64 "%s\"", cgm_hash_bytes(f->data, f->size), packed ? "-gz" : "");
	if (cgm_matches_etag(cgm_request_header(rq, "If-None-Match"), etag))
		status = MHD_HTTP_NOT_MODIFIED;
	response = MHD_create_response_from_buffer(status != MHD_HTTP_OK ? 0 : packed ? f->packed_size : f->size, (void *)(packed ? f->packed : f->data),
						   MHD_RESPMEM_PERSISTENT);
	if (!response)
		return MHD_NO;
	MHD_add_response_header(response, "Content-Type", f->type);
	MHD_add_response_header(response, "ETag", etag);
	if (packed)
		MHD_add_response_header(response, "Content-Encoding", "gzip");
	add_headers(response);
	return cgm_answer(rq, status, response);
}

void cgm_put_encoded(struct cgm_buf *b, const char *name)
{
	static const char hex[] = "0123456789ABCDEF";

	for (const unsigned char *p = (const unsigned char *)name; *p; p++) {
		bool plain = (*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') || (*p >= '0' && *p <= '9') || strchr("/-._~", *p);

		if (plain) {
			cgm_buf_char(b, (char)*p);
			continue;
		}
		cgm_buf_char(b, '%');
		cgm_buf_char(b, hex[*p >> 4]);
		cgm_buf_char(b, hex[*p & 15]);
	}
}

enum MHD_Result cgm_answer_to_page(struct cgm_request *rq, const char *fragment)
{
	_cleanup_(cgm_buf_done) struct cgm_buf location = { 0 };
	struct MHD_Response *response;

	/* "/a/b" is in the folder "/a/": one step up for each slash but the first. */
	cgm_buf_lit(&location, "./");
	for (unsigned i = 1; i < rq->nr_slashes; i++)
		cgm_buf_lit(&location, "../");
	cgm_buf_char(&location, '#');
	cgm_buf_str(&location, fragment);
	cgm_buf_char(&location, '\0');
	if (location.failed)
		return cgm_answer_error(rq, MHD_HTTP_INTERNAL_SERVER_ERROR, "out of memory");
	response = MHD_create_response_from_buffer(0, (void *)"", MHD_RESPMEM_PERSISTENT);
	if (!response)
		return MHD_NO;
	MHD_add_response_header(response, "Location", location.p);
	return cgm_answer(rq, MHD_HTTP_TEMPORARY_REDIRECT, response);
}
