/** The limits as they are by default, but for larger requests; or none at all. */
export function limits(on = "on") {
  return on === "on" ? { maxRequestBytes: 2 ** 31 } : {
    maxRequestBytes: Infinity,
    deadline: Infinity,
    idleTimeout: Infinity,
  };
}
