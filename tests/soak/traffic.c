// traffic ADDRESS CLIENTS RATE SEED
//
// CLIENTS connect, ask, wait for their answer and connect again. Others arrive at
// random, RATE a second, whatever becomes of the rest. All of them come until the
// server refuses one, or SIGTERM comes. ADDRESS is a port of 127.0.0.1, or the path of a Unix socket.
// Prints a line for each connection: "answered", "refused", or "lost" and why.
//
// It is in C so that it leaves the processor to the server: two cores are few.

#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "../harness/address.h"

static atomic_int next_client;
static atomic_int present;
static atomic_bool is_over;

static void end(int signal) {
  is_over = signal != 0;
}

static void fail(const char *what) {
  fprintf(stderr, "traffic: %s: %s\n", what, strerror(errno));
  exit(1);
}

/** Connects. Returns -1 if nobody listens. */
static int dial(void) {
  for (;;) {
    int fd = socket(address.ss_family, SOCK_STREAM, 0);
    if (fd < 0) fail("socket");
    if (connect(fd, (struct sockaddr *)&address, address_size) == 0) return fd;
    int error = errno;
    close(fd);
    // A Unix socket may be removed as well.
    if (error == ECONNREFUSED || error == ENOENT) return -1;
    // All ports are in TIME_WAIT.
    if (error != EADDRNOTAVAIL) {
      printf("lost in connect: %s\n", strerror(error));
      return -1;
    }
    usleep(1000);
  }
}

/** Sends a request and reads its answer, which must be the same. */
static void ask(int fd) {
  char request[32], answer[64];
  int size = sprintf(request, "client %d", next_client++);
  if (send(fd, request, size, MSG_NOSIGNAL) != size || shutdown(fd, SHUT_WR)) {
    printf("lost %s: %s\n", request, strerror(errno));
    return;
  }
  int got = 0;
  for (ssize_t part = 1; part > 0 && got <= size; got += part) {
    part = recv(fd, answer + got, size + 1 - got, 0);
    if (part < 0) {
      printf("lost %s: %s\n", request, strerror(errno));
      return;
    }
  }
  if (got == size && memcmp(answer, request, size) == 0) puts("answered");
  else printf("lost %s: its answer is \"%.*s\"\n", request, got, answer);
}

/** One connection. Returns whether it could be made. */
static bool come(void) {
  int fd = dial();
  if (fd < 0) {
    puts("refused");
    is_over = true;
    return false;
  }
  ask(fd);
  close(fd);
  return true;
}

static void *come_again(void *unused) {
  while (!is_over && come());
  present--;
  return unused;
}

static void *come_once(void *unused) {
  come();
  present--;
  return unused;
}

static void start(void *(*client)(void *)) {
  pthread_t thread;
  present++;
  if (pthread_create(&thread, NULL, client, NULL)) fail("pthread_create");
  pthread_detach(thread);
}

static void arrive(double rate) {
  struct timespec due;
  clock_gettime(CLOCK_MONOTONIC, &due);
  while (!is_over) {
    double nanoseconds = due.tv_nsec - log(1 - drand48()) / rate * 1e9;
    due.tv_sec += (time_t)(nanoseconds / 1e9);
    due.tv_nsec = (long)fmod(nanoseconds, 1e9);
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &due, NULL);
    start(come_once);
  }
}

int main(int argc, char **argv) {
  if (argc != 5) return 2;
  set_address(argv[1]);
  srand48(atol(argv[4]));
  signal(SIGTERM, end);
  for (int i = atoi(argv[2]); i > 0; i--) start(come_again);
  double rate = atof(argv[3]);
  if (rate > 0) arrive(rate);
  while (present > 0) usleep(1000);
}
