// Where the programs in C that play clients connect to: a port of 127.0.0.1, or the
// path of a Unix socket.

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

static struct sockaddr_storage address;
static socklen_t address_size;

static void set_address(const char *text) {
  if (strchr(text, '/')) {
    struct sockaddr_un *un = (struct sockaddr_un *)&address;
    un->sun_family = AF_UNIX;
    strncpy(un->sun_path, text, sizeof un->sun_path - 1);
    address_size = sizeof *un;
  } else {
    struct sockaddr_in *in = (struct sockaddr_in *)&address;
    in->sin_family = AF_INET;
    in->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    in->sin_port = htons(atoi(text));
    address_size = sizeof *in;
  }
}
