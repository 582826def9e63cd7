/**
 * A second handle on a TCP socket of `node:net`, to write through.
 *
 * Of a peer that has ended its side without a byte, Deno thinks that it has left:
 * on TCP it fails each write that has to wait, even if the peer still reads. Of
 * others it says `EPIPE`, whatever the fault is. On pipes it does neither, and a
 * pipe can be made of any descriptor.
 *
 * @module
 */

import type net from "node:net";

/** What Deno has of Node's own parts; none of it is documented. */
interface Binding {
  readonly Pipe?: new (type: number) => { open(fd: number): number };
  readonly constants?: { readonly SOCKET: number };
}

/**
 * Makes one. It shares the socket of the first: a close, or a reset, takes effect
 * when both are destroyed.
 *
 * @param socket A TCP socket that is connected.
 * @returns A socket that can only be written, or `undefined` where Deno has no such,
 * or descriptors lack.
 */
export function secondHandle(socket: net.Socket): net.Socket | undefined {
  const { binding } = process as { binding?(name: string): Binding };
  const { Pipe, constants } = binding?.("pipe_wrap") ?? {};
  const { _handle } = socket as { _handle?: { fdForIpc?(): number } };
  if (!Pipe || !constants) return undefined;
  // A descriptor of its own, as the first handle closes the other one.
  const descriptor = _handle?.fdForIpc?.() ?? -1;
  if (descriptor < 0) return undefined;
  const handle = new Pipe(constants.SOCKET);
  if (handle.open(descriptor) !== 0) return undefined;
  const { Socket } = process.getBuiltinModule("node:net");
  const options = { handle, readable: false };
  return new Socket(options as net.SocketConstructorOpts);
}
