/* Implementation of state.h. */
#include "base/system.h"
#include <jansson.h>
#include "control/state.h"
#include "io/file.h"
#include "io/net.h"

#define STATE_VERSION 1
#define STATE_MAX_BYTES ((size_t)1 << 20)

static json_t *ports_json(const unsigned *ports)
{
	json_t *a = json_array();
	for (int i = 0; i < 9; i++)
		json_array_append_new(a, json_integer(ports[i]));
	return a;
}

static void ports_read(const json_t *a, unsigned *ports)
{
	for (size_t i = 0; i < 9; i++)
		ports[i] = (unsigned)json_integer_value(json_array_get(a, i));
}

int state_load(const char *dir, struct state *out, struct tarn_error *err)
{
	char *path = tarn_asprintf("%s/state.json", dir);
	struct tarn_buf text = TARN_BUF_INIT;
	json_error_t je;
	json_t *root = NULL;
	int rc = 0;
	memset(out, 0, sizeof *out);
	if (!file_exists(path))
		goto out;
	TRY_GOTO(rc, file_read_all(path, STATE_MAX_BYTES, &text, err), out);
	root = json_loadb((const char *)text.data, text.len, 0, &je);
	if (!root || json_integer_value(json_object_get(root, "version")) != STATE_VERSION) {
		rc = tarn_fail(err, TARN_E_CORRUPT,
			       "%s is not a state file of this version of Tarn (%s); restore it, "
			       "or start in "
			       "another folder on a copy of the object store",
			       path, root ? "version" : je.text);
		goto out;
	}
	out->system_identifier =
		(uint64_t)json_integer_value(json_object_get(root, "system_identifier"));
	out->control_port = (unsigned)json_integer_value(json_object_get(root, "control_port"));
	out->catalog_port = (unsigned)json_integer_value(json_object_get(root, "catalog_port"));
	out->pageserver_port =
		(unsigned)json_integer_value(json_object_get(root, "pageserver_port"));
	out->pageserver_http_port =
		(unsigned)json_integer_value(json_object_get(root, "pageserver_http_port"));
	ports_read(json_object_get(root, "safekeeper_ports"), out->safekeeper_ports);
	ports_read(json_object_get(root, "safekeeper_http_ports"), out->safekeeper_http_ports);
	size_t i;
	json_t *e;
	json_array_foreach(json_object_get(root, "endpoints"), i, e)
	{
		const char *branch = json_string_value(json_object_get(e, "branch"));
		struct state_endpoint *slot = branch ? state_endpoint(out, branch, true) : NULL;
		if (!slot)
			continue;
		slot->port = (unsigned)json_integer_value(json_object_get(e, "port"));
		slot->wanted = json_is_true(json_object_get(e, "wanted"));
	}
out:
	json_decref(root);
	tarn_buf_release(&text);
	free(path);
	return rc;
}

int state_save(const char *dir, const struct state *s, struct tarn_error *err)
{
	json_t *root = json_object();
	json_t *endpoints = json_array();
	json_object_set_new(root, "version", json_integer(STATE_VERSION));
	json_object_set_new(root, "system_identifier",
			    json_integer((json_int_t)s->system_identifier));
	json_object_set_new(root, "control_port", json_integer(s->control_port));
	json_object_set_new(root, "catalog_port", json_integer(s->catalog_port));
	json_object_set_new(root, "pageserver_port", json_integer(s->pageserver_port));
	json_object_set_new(root, "pageserver_http_port", json_integer(s->pageserver_http_port));
	json_object_set_new(root, "safekeeper_ports", ports_json(s->safekeeper_ports));
	json_object_set_new(root, "safekeeper_http_ports", ports_json(s->safekeeper_http_ports));
	for (unsigned i = 0; i < s->endpoint_count; i++)
		json_array_append_new(endpoints,
				      json_pack("{s:s, s:i, s:b}", "branch", s->endpoints[i].branch,
						"port", (int)s->endpoints[i].port, "wanted",
						(int)s->endpoints[i].wanted));
	json_object_set_new(root, "endpoints", endpoints);
	char *text = json_dumps(root, JSON_INDENT(2) | JSON_PRESERVE_ORDER);
	char *path = tarn_asprintf("%s/state.json", dir);
	int rc = file_write_atomic(path, text, strlen(text), err);
	free(path);
	free(text);
	json_decref(root);
	return rc;
}

struct state_endpoint *state_endpoint(struct state *s, const char *branch, bool make)
{
	for (unsigned i = 0; i < s->endpoint_count; i++)
		if (strcmp(s->endpoints[i].branch, branch) == 0)
			return &s->endpoints[i];
	if (!make || s->endpoint_count == STATE_MAX_ENDPOINTS)
		return NULL;
	struct state_endpoint *e = &s->endpoints[s->endpoint_count];
	memset(e, 0, sizeof *e);
	if (!tarn_strlcpy(e->branch, branch, sizeof e->branch))
		return NULL;
	s->endpoint_count++;
	return e;
}

void state_forget_endpoint(struct state *s, const char *branch)
{
	struct state_endpoint *e = state_endpoint(s, branch, false);
	if (e)
		*e = s->endpoints[--s->endpoint_count];
}

#define FIRST_PORT 15000u
#define LAST_PORT 32000u

static int try_port(const char *host, unsigned port, unsigned *out, struct tarn_error *err)
{
	char address[NET_ADDRESS_BYTES], bound[NET_ADDRESS_BYTES];
	int fd;
	if (!tarn_snprintf(address, sizeof address, strchr(host, ':') ? "[%s]:%u" : "%s:%u", host,
			   port))
		return tarn_fail(err, TARN_E_LIMIT, "the address %s is too long", host);
	TRY(net_listen(address, 1, &fd, err));
	int rc = net_local_address(fd, bound, err);
	close(fd);
	if (rc == 0)
		*out = (unsigned)strtoul(strrchr(bound, ':') + 1, NULL, 10);
	return rc;
}

/* A port of the range from which the system takes those of outgoing connections could be taken by one
 * of them while its part is restarted. */
static unsigned any_port(void)
{
	uint16_t r;
	tarn_random_bytes(&r, sizeof r);
	return FIRST_PORT + r % (LAST_PORT - FIRST_PORT);
}

int port_choose(const char *host, unsigned preferred, bool exact, unsigned *out,
		struct tarn_error *err)
{
	unsigned tries = exact && preferred ? 1 : 100;
	if (preferred == 0)
		preferred = any_port();
	int rc = 0;
	for (unsigned i = 0; i < tries && preferred + i <= 65535; i++) {
		rc = try_port(host, preferred + i, out, err);
		if (rc == 0)
			return 0;
	}
	if (exact)
		return tarn_error_prefix(
			err, "port %u is in use or not allowed; choose another in tarn.conf",
			preferred);
	return rc;
}
