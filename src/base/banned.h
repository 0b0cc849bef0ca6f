/* Functions whose misuse corrupts memory or whose failure goes unseen: using one fails to compile. */
#ifndef TARN_BASE_BANNED_H
#define TARN_BASE_BANNED_H

#define TARN_BANNED(name) sorry_##name##_is_a_banned_function

#undef strcpy
#define strcpy(x, y) TARN_BANNED(strcpy)
#undef strcat
#define strcat(x, y) TARN_BANNED(strcat)
#undef strncpy
#define strncpy(x, y, n) TARN_BANNED(strncpy)
#undef strncat
#define strncat(x, y, n) TARN_BANNED(strncat)
#undef sprintf
#define sprintf(...) TARN_BANNED(sprintf)
#undef vsprintf
#define vsprintf(...) TARN_BANNED(vsprintf)
#undef strtok
#define strtok(x, y) TARN_BANNED(strtok)
#undef gets
#define gets(x) TARN_BANNED(gets)
#undef gmtime
#define gmtime(t) TARN_BANNED(gmtime)
#undef localtime
#define localtime(t) TARN_BANNED(localtime)
#undef ctime
#define ctime(t) TARN_BANNED(ctime)
#undef asctime
#define asctime(t) TARN_BANNED(asctime)

#endif
