#include <arpa/inet.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static void copy(int from, int to) {
  char buffer[65536];
  ssize_t size;
  while ((size = read(from, buffer, sizeof buffer)) > 0)
    for (ssize_t at = 0, sent; at < size; at += sent)
      if ((sent = write(to, buffer + at, size - at)) < 0) exit(1);
}

int main(int argc, char **argv) {
  struct sockaddr_in there = {.sin_family = AF_INET, .sin_port = htons(atoi(argv[2]))};
  inet_pton(AF_INET, argv[1], &there.sin_addr);
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  if (connect(fd, (struct sockaddr *)&there, sizeof there)) return 1;
  copy(0, fd);
  shutdown(fd, SHUT_WR);
  copy(fd, 1);
}
