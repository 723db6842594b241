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

enum MHD_Result cgm_answer_page_file(struct cgm_request *rq, const char *name)
{
	const struct cgm_web_file *f = find_file(name);
	struct MHD_Response *response;
	unsigned status = MHD_HTTP_OK;
	char etag[24];

	if (!f)
		return cgm_answer_error(rq, MHD_HTTP_NOT_FOUND, "unknown file \"%s\"", name);
	snprintf(etag, sizeof(etag), "\"%016" PRIx64 "\"", cgm_hash_bytes(f->data, f->size));
	if (cgm_matches_etag(cgm_request_header(rq, "If-None-Match"), etag))
		status = MHD_HTTP_NOT_MODIFIED;
	response = MHD_create_response_from_buffer(status == MHD_HTTP_OK ? f->size : 0, (void *)f->data, MHD_RESPMEM_PERSISTENT);
	if (!response)
		return MHD_NO;
	MHD_add_response_header(response, "Content-Type", f->type);
	MHD_add_response_header(response, "ETag", etag);
	MHD_add_response_header(response, "Cache-Control", "no-cache"); /* keep it, but ask each time: a new agent brings a new page */
	MHD_add_response_header(response, "Content-Security-Policy", "default-src 'self'");
	MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
	return cgm_answer(rq, status, response);
}
