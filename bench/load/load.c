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

// Takes the address of a client: 127.0.1.0, 127.0.1.1, and so on. Linux alone has
// them all, and chooses the port when it knows where the connection leads.
static void take_address(int fd, int client) {
#ifdef IP_BIND_ADDRESS_NO_PORT
  if (address.ss_family != AF_INET) return;
  int on = 1;
  struct sockaddr_in own = {.sin_family = AF_INET};
  own.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 255 + client);
  if (setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on) < 0 ||
      bind(fd, (struct sockaddr *)&own, sizeof own) < 0)
    fail("bind");
#endif
}

static int dial(int client) {
  for (;;) {
    int fd = socket(address.ss_family, SOCK_STREAM, 0);
    if (fd < 0) fail("socket");
    take_address(fd, client);
    if (connect(fd, (struct sockaddr *)&address, address_size) == 0) return fd;
    if (errno == EADDRNOTAVAIL) fail("a client has used up its ports");
    // The backlog of a Unix socket is full.
    if (errno != EAGAIN) fail("connect");
    close(fd);
    usleep(1000);
  }
}

static void exchange(int client, char *buffer) {
  int fd = dial(client);
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

struct client {
  int number;
  long exchanges;
  int connection;
};

static void *run_client(void *argument) {
  struct client *client = argument;
  char *buffer = malloc(BUFFER);
  if (!buffer) fail("malloc");
  do {
    exchange(client->number, buffer);
    client->exchanges++;
  } while (now() < end);
  free(buffer);
  return NULL;
}

static void *stay_silent(void *argument) {
  struct client *client = argument;
  char answer[4096];
  for (int fd = client->connection;; fd = dial(client->number)) {
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
  struct client all[silents + clients];
  pthread_t threads[silents + clients];
  for (int i = 0; i < silents; i++) {
    all[i] = (struct client){.number = i, .connection = dial(i)};
    if (pthread_create(&threads[i], NULL, stay_silent, &all[i])) fail("thread");
  }

  double start = now();
  end = start + atof(argv[3]);
  for (int i = silents; i < silents + clients; i++) {
    all[i] = (struct client){.number = i};
    if (pthread_create(&threads[i], NULL, run_client, &all[i])) fail("thread");
  }
  long exchanges = 0;
  for (int i = silents; i < silents + clients; i++) {
    pthread_join(threads[i], NULL);
    exchanges += all[i].exchanges;
  }
  double seconds = now() - start;
  struct rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  double cpu = usage.ru_utime.tv_sec + usage.ru_stime.tv_sec +
               (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
  printf("{\"exchanges\":%ld,\"seconds\":%f,\"cpu\":%f}\n", exchanges, seconds,
         cpu);
}
