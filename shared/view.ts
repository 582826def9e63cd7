/**
 * Views of memory: whether they can be sent, and read into.
 *
 * @module
 */

import { isOf, typeOf } from "./thrown.ts";

/**
 * Whether the memory of a view is gone: its buffer was detached, or has shrunk to
 * less than the view. Such a view looks empty.
 */
export function isLost(view: ArrayBufferView): boolean {
  try {
    // That of a DataView throws here, that of another view below.
    if (view.byteLength > 0 || view instanceof DataView) return false;
    Uint8Array.prototype.at.call(view, 0);
    return false;
  } catch {
    return true;
  }
}

/**
 * Checks a buffer that a caller wants read into.
 *
 * @throws {TypeError} If nothing can ever be read into it.
 */
export function checkReadable(buffer: unknown): asserts buffer is Uint8Array {
  if (!isOf(buffer, Uint8Array)) {
    throw wrongBuffer(`it is ${typeOf(buffer)}. Give a Uint8Array.`);
  }
  if (isLost(buffer)) {
    throw wrongBuffer(
      "its memory was transferred, or has shrunk to less than the view. Give " +
        "another one.",
    );
  }
  if (buffer.length === 0) {
    throw wrongBuffer("it has no room. Give one of at least a byte.");
  }
}

/** The error of a buffer that cannot be read into. */
function wrongBuffer(why: string): TypeError {
  return new TypeError(`Cannot read the request into the buffer: ${why}`);
}

/** The error of a buffer that is not what it was when it was given. */
export function changedBuffer(): TypeError {
  return wrongBuffer(
    "it was transferred, or has shrunk, while it was read into. Keep it until " +
      "the promise settles.",
  );
}
