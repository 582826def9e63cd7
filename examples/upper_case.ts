/**
 * Upper case: the smallest handler there is. What it returns is the response.
 *
 * ```sh
 * deno run -N -R=examples jsr:@halfclose/server examples/upper_case.ts
 * echo hello | nc -N localhost 8080
 * ```
 *
 * @module
 */

import type { Conn } from "@halfclose/server";

export default async (conn: Conn) => (await conn.text()).toUpperCase();
