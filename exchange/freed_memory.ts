/**
 * Memory of large requests, after it is freed.
 *
 * @module
 */

/** glibc takes blocks from here on from the kernel, each by itself, at first. */
const LARGE_BYTES = 131_072;
/** The largest block from which glibc learns is 32 MiB. */
const BLOCK_BYTES = 32_505_856;

let isKept = false;

/**
 * Has the C library keep up to twice 31 MiB of freed memory for later requests, once
 * a large one was handed out. V8 frees about 64 MiB of them at a time. glibc would
 * give all of it back, and the kernel clears each page that is taken again: that
 * takes longer than to receive a request. It keeps twice the size of the largest
 * block that was freed, so such a block is freed here. It is never touched.
 *
 * @param bytes The size of the request.
 */
export function keepFreedMemory(bytes: number): void {
  if (isKept || bytes < LARGE_BYTES || Deno.build.os !== "linux") return;
  isKept = true;
  new ArrayBuffer(BLOCK_BYTES).transfer(0);
}
