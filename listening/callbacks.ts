/**
 * Callbacks that return a promise, as an `async` function does. Nobody awaits it.
 * If it rejects, the callback has thrown.
 *
 * @module
 */

import { isOf } from "../shared/thrown.ts";
import type { CheckedOptions } from "./checked_options.ts";

/** Is told of an error that a callback has thrown too late for its caller. */
type OnRejection = (error: unknown) => void;

/**
 * Options whose callbacks tell of promises that reject.
 *
 * @param options The options.
 * @param onRejection Told of the rejections.
 */
export function withRejections(
  options: CheckedOptions,
  onRejection: OnRejection,
): CheckedOptions {
  const { allow, onRequest, onExchange, onAcceptError } = options;
  return {
    ...options,
    allow: heeded(allow, onRejection),
    onRequest: heeded(onRequest, onRejection),
    onExchange: heeded(onExchange, onRejection),
    onAcceptError: heeded(onAcceptError, onRejection),
  };
}

function heeded<Args extends unknown[], Returned>(
  callback: ((...args: Args) => Returned) | undefined,
  onRejection: OnRejection,
): ((...args: Args) => Returned) | undefined {
  return callback && ((...args) => {
    const returned = callback(...args);
    heed(returned, onRejection);
    return returned;
  });
}

/**
 * Tells of the rejection of a promise, if a callback has returned one.
 *
 * @param returned What it has returned.
 * @param onRejection Told of the rejection.
 */
export function heed(returned: unknown, onRejection: OnRejection): void {
  if (isOf(returned, Promise)) returned.catch(onRejection);
}
