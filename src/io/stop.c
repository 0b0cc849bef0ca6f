/* Implementation of stop.h. */
#include "base/system.h"
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include "io/stop.h"

static int event_fd = -1;
static volatile sig_atomic_t requested;

void stop_request(void)
{
	uint64_t one = 1;
	requested = 1;
	if (event_fd >= 0 && write(event_fd, &one, sizeof one) < 0) {
		/* The counter is full: it is readable already. */
	}
}

static void on_signal(int signo)
{
	int saved = errno;
	(void)signo;
	stop_request();
	errno = saved;
}

int stop_init(struct tarn_error *err)
{
	struct sigaction sa = {.sa_handler = on_signal};
	event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (event_fd < 0)
		return tarn_fail_errno(err, errno, "cannot make an eventfd");
	sigemptyset(&sa.sa_mask);
	if (sigaction(SIGTERM, &sa, NULL) != 0 || sigaction(SIGINT, &sa, NULL) != 0)
		return tarn_fail_errno(err, errno, "cannot install signal handlers");
	signal(SIGPIPE, SIG_IGN);
	return 0;
}

bool stop_requested(void)
{
	return requested != 0;
}

int stop_fd(void)
{
	return event_fd;
}

bool stop_wait_ms(int timeout_ms)
{
	struct pollfd p = {.fd = event_fd, .events = POLLIN};
	if (!requested)
		(void)poll(&p, 1, timeout_ms);
	return stop_requested();
}
