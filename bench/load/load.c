// load ADDRESS CLIENTS SECONDS REQUEST ANSWER SILENT
//
// As many clients as asked for send a request of so many bytes, half-close, read
// the answer to its end, check it, close, and begin anew until the seconds are
// over. ADDRESS is a port of 127.0.0.1, or the path of a Unix socket. An answer of
// 0 bytes is expected to be the length of the request in digits, one of any other
// size to be that many times an "x". As many others as SILENT says are connected
// before them, send nothing, and connect again whenever they are cut. load.ts
// does the same, slower.

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "../../tests/harness/address.h"

enum { BLOCK = 1 << 20, BUFFER = 1 << 18 };

static long request, answer;
static double end;
static char block[BLOCK], digits[32];

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec + time.tv_nsec / 1e9;
}

static void fail(const char *what) {
  fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
  exit(1);
}

static int dial(void) {
  for (;;) {
    int fd = socket(address.ss_family, SOCK_STREAM, 0);
    if (fd < 0) fail("socket");
    if (connect(fd, (struct sockaddr *)&address, address_size) == 0) return fd;
    // All ports are in TIME_WAIT, or the backlog of a Unix socket is full.
    if (errno != EADDRNOTAVAIL && errno != EAGAIN) fail("connect");
    close(fd);
    usleep(1000);
  }
}

static void exchange(char *buffer) {
  int fd = dial();
  for (long sent = 0; sent < request;) {
    long part = request - sent < BLOCK ? request - sent : BLOCK;
    ssize_t wrote = send(fd, block, part, MSG_NOSIGNAL);
    if (wrote < 0) fail("send");
    sent += wrote;
  }
  if (shutdown(fd, SHUT_WR) < 0) fail("shutdown");
  long size = 0;
  for (;;) {
    ssize_t got = recv(fd, buffer, BUFFER, 0);
    if (got < 0) fail("recv");
    if (got == 0) break;
    const char *expected = answer ? "x" : digits + size;
    long most = answer ? answer : (long)strlen(digits);
    size += got;
    if (size > most || buffer[0] != expected[0] ||
        (answer ? buffer[got - 1] != 'x' : memcmp(buffer, expected, got) != 0)) {
      errno = EBADMSG;
      fail("the answer is wrong");
    }
  }
  if (size != (answer ? answer : (long)strlen(digits))) {
    errno = EBADMSG;
    fail("the answer is cut");
  }
  close(fd);
}

static void *client(void *count) {
  char *buffer = malloc(BUFFER);
  if (!buffer) fail("malloc");
  do {
    exchange(buffer);
    ++*(long *)count;
  } while (now() < end);
  free(buffer);
  return NULL;
}

static void *silent(void *connection) {
  char answer[4096];
  for (int fd = *(int *)connection;; fd = dial()) {
    while (recv(fd, answer, sizeof answer, 0) > 0);
    close(fd);
  }
}

int main(int argc, char **argv) {
  if (argc != 7) return 2;
  set_address(argv[1]);
  int clients = atoi(argv[2]);
  request = atol(argv[4]);
  answer = atol(argv[5]);
  snprintf(digits, sizeof digits, "%ld", request);
  memset(block, 'x', BLOCK);

  int silents = atoi(argv[6]);
  int connections[silents + 1];
  for (int i = 0; i < silents; i++) {
    pthread_t thread;
    connections[i] = dial();
    if (pthread_create(&thread, NULL, silent, &connections[i])) fail("thread");
  }

  double start = now();
  end = start + atof(argv[3]);
  pthread_t threads[clients];
  long counts[clients], exchanges = 0;
  for (int i = 0; i < clients; i++) {
    counts[i] = 0;
    if (pthread_create(&threads[i], NULL, client, &counts[i])) fail("thread");
  }
  for (int i = 0; i < clients; i++) {
    pthread_join(threads[i], NULL);
    exchanges += counts[i];
  }
  double seconds = now() - start;
  struct rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  double cpu = usage.ru_utime.tv_sec + usage.ru_stime.tv_sec +
               (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
  printf("{\"exchanges\":%ld,\"seconds\":%f,\"cpu\":%f}\n", exchanges, seconds,
         cpu);
}
