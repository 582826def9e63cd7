/**
 * What a module leaves uncaught.
 *
 * @module
 */

/**
 * Catches what a module leaves uncaught. Deno would otherwise end the process
 * with a stack trace.
 */
export function catchUncaught() {
  const { promise, reject } = Promise.withResolvers<never>();
  promise.catch(() => {});
  const onError = (event: ErrorEvent) => {
    event.preventDefault();
    reject(event.error);
  };
  const onRejection = (event: PromiseRejectionEvent) => {
    event.preventDefault();
    reject(event.reason);
  };
  addEventListener("error", onError);
  addEventListener("unhandledrejection", onRejection);
  return {
    /** Rejects with what was not caught. */
    promise,
    [Symbol.dispose](): void {
      removeEventListener("error", onError);
      removeEventListener("unhandledrejection", onRejection);
    },
  };
}
