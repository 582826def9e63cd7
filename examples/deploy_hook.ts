/**
 * Deploy hook: a Unix socket that runs a script with the version that it is told,
 * and responds with what the script prints. Its user and group may connect. Two
 * deployments never overlap, as one request is served at a time.
 *
 * The version is checked before the script gets it, as an argument and not as a
 * part of a command. A client that leaves does not stop a deployment; one that
 * takes longer than the deadline is killed.
 *
 * ```sh
 * deno run -N -R=examples,. -W=. --allow-run=./deploy.sh jsr:@halfclose/server --unix deploy.sock --mode 660 examples/deploy_hook.ts
 * echo v1.2.3 | nc -U -N deploy.sock
 * ```
 *
 * @module
 */

import type { Conn } from "@halfclose/server";

async function handler(conn: Conn): Promise<string> {
  const version = (await conn.text()).trim();
  if (!/^v\d+\.\d+\.\d+$/.test(version)) {
    return "send a version, such as v1.2.3\n";
  }
  const script = new Deno.Command("./deploy.sh", {
    args: [version],
    signal: conn.signal,
    stdin: "null",
  });
  const { code, stdout } = await script.output();
  const end = code === 0 ? `deployed ${version}` : `failed with status ${code}`;
  return `${new TextDecoder().decode(stdout)}${end}\n`;
}

export default { maxRequestBytes: 64, deadline: 15 * 60_000, handler };
