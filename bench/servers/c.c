// c WORK: the yardstick, system calls and nothing else.

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { CHUNK = 65536, LARGE = 8 << 20 };

// The whole request in one contiguous block, which grows as it comes.
static long read_whole(int fd) {
  size_t room = CHUNK, size = 0;
  char *request = malloc(room);
  for (ssize_t got; (got = read(fd, request + size, room - size)) > 0;) {
    size += got;
    if (size == room) request = realloc(request, room *= 2);
  }
  free(request);
  return size;
}

static long count(int fd) {
  static char chunk[CHUNK];
  long size = 0;
  for (ssize_t got; (got = read(fd, chunk, CHUNK)) > 0;) size += got;
  return size;
}

int main(int argc, char **argv) {
  const char *work = argc > 1 ? argv[1] : "bytes";
  char *large = malloc(LARGE), digits[32];
  memset(large, 'x', LARGE);
  struct sockaddr_in address = {.sin_family = AF_INET};
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  int listener = socket(AF_INET, SOCK_STREAM, 0);
  bind(listener, (struct sockaddr *)&address, sizeof address);
  listen(listener, 511);
  getsockname(listener, (struct sockaddr *)&address, &length);
  printf("%d\n", ntohs(address.sin_port));
  fflush(stdout);

  for (;;) {
    int fd = accept(listener, NULL, NULL);
    long size = strcmp(work, "stream") == 0 ? count(fd) : read_whole(fd);
    const char *answer = large;
    long left = LARGE;
    if (strcmp(work, "answer") != 0) {
      left = snprintf(digits, sizeof digits, "%ld", size);
      answer = digits;
    }
    while (left > 0) {
      ssize_t wrote = write(fd, answer, left);
      if (wrote < 0) break;
      answer += wrote;
      left -= wrote;
    }
    close(fd);
  }
}
