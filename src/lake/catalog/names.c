/* Names of names.h. */
#include "base/system.h"
#include "lake/catalog/names.h"
#include <ctype.h>

#define DEFAULT_BRANCH "main"
#define DEFAULT_DATABASE "postgres"

static bool copy_part(char out[NAME_MAX_BYTES], const char *s, size_t len)
{
	if (len == 0 || len >= NAME_MAX_BYTES)
		return false;
	memcpy(out, s, len);
	out[len] = '\0';
	return true;
}

bool warehouse_parse(const char *text, struct warehouse *out)
{
	const char *slash = strrchr(text, '/');
	if (*text == '\0')
		text = DEFAULT_BRANCH;
	if (!slash)
		return copy_part(out->branch, text, strlen(text)) &&
		       tarn_strlcpy(out->database, DEFAULT_DATABASE, sizeof out->database);
	return copy_part(out->branch, text, (size_t)(slash - text)) &&
	       copy_part(out->database, slash + 1, strlen(slash + 1));
}

static bool plain(char c)
{
	return isalnum((unsigned char)c) || c == '-' || c == '_' || c == '.';
}

static void put_escaped(struct tarn_buf *out, const char *s, char escape)
{
	for (; *s; s++) {
		if (plain(*s))
			tarn_buf_put_u8(out, (uint8_t)*s);
		else
			tarn_buf_printf(out, "%c%02X", escape, (unsigned char)*s);
	}
}

void put_percent_encoded(struct tarn_buf *out, const char *s)
{
	put_escaped(out, s, '%');
}

void warehouse_prefix(const struct warehouse *w, struct tarn_buf *out)
{
	put_escaped(out, w->branch, '~');
	tarn_buf_put_str(out, "~~");
	put_escaped(out, w->database, '~');
}

static bool unescape(const char *s, size_t len, char out[NAME_MAX_BYTES])
{
	size_t n = 0;
	for (size_t i = 0; i < len; i++) {
		char c = s[i];
		if (c == '~') {
			char hex[3] = {0};
			if (i + 2 >= len || !isxdigit((unsigned char)s[i + 1]) ||
			    !isxdigit((unsigned char)s[i + 2]))
				return false;
			memcpy(hex, s + i + 1, 2);
			c = (char)strtoul(hex, NULL, 16);
			i += 2;
		}
		if (c == '\0' || n + 1 >= NAME_MAX_BYTES)
			return false;
		out[n++] = c;
	}
	out[n] = '\0';
	return n > 0;
}

bool warehouse_from_prefix(const char *prefix, struct warehouse *out)
{
	const char *mid = strstr(prefix, "~~");
	if (!mid) /* what a person would type */
		return warehouse_parse(prefix, out);
	return unescape(prefix, (size_t)(mid - prefix), out->branch) &&
	       unescape(mid + 2, strlen(mid + 2), out->database);
}

bool namespace_parse(const char *text, struct namespace *out)
{
	const char *at = strrchr(text, '@');
	char lsn[TARN_LSN_TEXT_BYTES];
	out->pin = 0;
	if (at && at != text && tarn_strlcpy(lsn, at + 1, sizeof lsn)) {
		char *dash = strchr(lsn, '-');
		if (dash)
			*dash = '/';
		if (tarn_lsn_parse(lsn, &out->pin) && out->pin)
			return copy_part(out->schema, text, (size_t)(at - text));
		out->pin = 0;
	}
	return copy_part(out->schema, text, strlen(text));
}
