/* How commands reach a running `tarn up`: its folder, and calls to its API. */
#ifndef TARN_CLI_CLIENT_H
#define TARN_CLI_CLIENT_H

#include <jansson.h>
#include "base/error.h"

/* The project's folder as an absolute path: option, else TARN_DIR, else ./.tarn. Caller frees. */
int client_dir(const char *option, char **out, struct tarn_error *err);
/* Calls the control plane of the project in dir. *out: a new reference, or NULL for an empty answer;
 * may be NULL. */
int client_call(const char *dir, const char *method, const char *path, const json_t *body,
		json_t **out, struct tarn_error *err);
/* URL of a branch's compute; caller frees. TARN_E_NOT_FOUND names what to do. */
int client_endpoint_url(const char *dir, const char *branch, char **out, struct tarn_error *err);
/* Pretty JSON on stdout. */
void client_print_json(const json_t *j);
/* Text member or "" */
const char *client_text(const json_t *object, const char *key);

#endif
