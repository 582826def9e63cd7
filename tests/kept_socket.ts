// A listening socket that somebody keeps open, as systemd does: servers inherit
// its descriptor one after the other.

import type { Place } from "./sockets.ts";

const AF_UNIX = 1;
const AF_INET = 2;
const SOCK_STREAM = 1;
const SOCK_DGRAM = 2;

const local = "127.0.0.1";

/** The calls of the C library of Linux that Deno has no words for. */
function libc() {
  return Deno.dlopen("libc.so.6", {
    socket: { parameters: ["i32", "i32", "i32"], result: "i32" },
    bind: { parameters: ["i32", "buffer", "u32"], result: "i32" },
    listen: { parameters: ["i32", "i32"], result: "i32" },
    connect: { parameters: ["i32", "buffer", "u32"], result: "i32" },
    getsockname: { parameters: ["i32", "buffer", "buffer"], result: "i32" },
    dup: { parameters: ["i32"], result: "i32" },
    close: { parameters: ["i32"], result: "i32" },
  });
}

/** A socket of the kernel that is no resource of Deno. */
export class KeptSocket implements Disposable {
  readonly #libc = libc();
  readonly #fd: number;
  /** Where clients connect to. */
  readonly place: Place;

  private constructor(
    family: number,
    type: number,
    { path, hostname }: { path?: string; hostname: string },
  ) {
    const { symbols: c } = this.#libc;
    this.#fd = checked(c.socket(family, type, 0));
    const address = family === AF_INET
      ? inetAddress(hostname, 0)
      : unixAddress(path ?? "");
    checked(c.bind(this.#fd, address, address.length));
    if (path !== undefined) {
      this.place = { transport: "unix", path };
      return;
    }
    const own = new Uint8Array(16);
    checked(c.getsockname(this.#fd, own, new Uint32Array([own.length])));
    this.place = {
      hostname,
      port: new DataView(own.buffer).getUint16(2),
    };
  }

  /** One that listens on TCP. */
  static tcp(hostname = local): KeptSocket {
    return KeptSocket.bound(hostname).#listening();
  }

  /** One that listens at a path. */
  static unix(path: string): KeptSocket {
    return new KeptSocket(AF_UNIX, SOCK_STREAM, { hostname: local, path })
      .#listening();
  }

  /** One that is bound, and does not listen. */
  static bound(hostname = local): KeptSocket {
    return new KeptSocket(AF_INET, SOCK_STREAM, { hostname });
  }

  /** One of UDP. */
  static udp(): KeptSocket {
    return new KeptSocket(AF_INET, SOCK_DGRAM, { hostname: local });
  }

  /** A connection to somebody who listens on this machine. */
  static connected(port: number): KeptSocket {
    const socket = KeptSocket.bound();
    const address = inetAddress(local, port);
    checked(
      socket.#libc.symbols.connect(socket.#fd, address, address.length),
    );
    return socket;
  }

  /** Another descriptor of it, for a server that will close it. */
  lend(): number {
    return checked(this.#libc.symbols.dup(this.#fd));
  }

  /** Closes a descriptor that no server has taken. */
  giveBack(fd: number): void {
    checked(this.#libc.symbols.close(fd));
  }

  [Symbol.dispose](): void {
    this.giveBack(this.#fd);
    this.#libc.close();
  }

  #listening(): this {
    checked(this.#libc.symbols.listen(this.#fd, 511));
    return this;
  }
}

function checked(result: number): number {
  if (result < 0) throw new Error("A call of the C library has failed");
  return result;
}

function inetAddress(hostname: string, port: number): Uint8Array<ArrayBuffer> {
  const address = new Uint8Array(16);
  const view = new DataView(address.buffer);
  view.setUint16(0, AF_INET, true);
  view.setUint16(2, port);
  address.set(hostname.split(".").map(Number), 4);
  return address;
}

function unixAddress(path: string): Uint8Array<ArrayBuffer> {
  const address = new Uint8Array(110);
  new DataView(address.buffer).setUint16(0, AF_UNIX, true);
  address.set(new TextEncoder().encode(path), 2);
  return address;
}
