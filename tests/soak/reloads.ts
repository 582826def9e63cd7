/**
 * A proof that a reload drops nobody: the tool speaks TLS with `--reuse-port`,
 * clients ask all the time, and SIGHUP after SIGHUP changes the certificate.
 * Whatever is lost makes it exit with 1.
 *
 * ```sh
 * deno run -A tests/soak/reloads.ts --count 100 --clients 8 --rate 100
 * ```
 *
 * `--clients` of them connect, ask and connect again; `--rate` others a second
 * come at random. Only a kernel with `net.ipv4.tcp_migrate_req=1` hands over
 * those who connect in the moment in which the old listener is closed:
 *
 * ```sh
 * unshare --net sh -c 'ip link set lo up && sysctl -q net.ipv4.tcp_migrate_req=1 &&
 *   deno run -A tests/soak/reloads.ts'
 * ```
 *
 * @module
 */

import { messageOf } from "../harness/errors.ts";
import { execute, type Flags } from "../harness/options.ts";
import { pause, readText, writeAll } from "../sockets.ts";
import { newCertificate, type PemFiles } from "../tls.ts";
import { Tool } from "../tool.ts";

const help = `Proves that a reload drops nobody.

Usage: deno run -A tests/soak/reloads.ts [options]

Options:
  -n, --count N      how many reloads [100]
      --clients N    clients that ask again and again, 0 to 64 [8]
      --rate N       clients a second that come at random, 0 to 500 [0]
  -h, --help         print this help`;

interface Options {
  count: number;
  clients: number;
  rate: number;
}

function read(flags: Flags): Options {
  return {
    count: flags.whole("count", 1, 10_000, 100),
    clients: flags.whole("clients", 0, 64, 8),
    rate: flags.whole("rate", 0, 500, 0),
  };
}

/** Makes the reloads, one after the other, and prints how they went. */
async function run({ count, clients, rate }: Options): Promise<number> {
  const folder = await Deno.makeTempDir();
  const [one, two] = await Promise.all([
    newCertificate(`${folder}/one`),
    newCertificate(`${folder}/two`),
  ]);
  const used = { cert: `${folder}/used.pem`, key: `${folder}/used.key` };
  await copy(one, used);
  await using tool = await Tool.listening(
    ["--reuse-port", "--tls-cert", used.cert, "--tls-key", used.key],
    Tool.allowing(folder, "--unstable-net"),
  );
  const trusted = [one, two].map(({ cert }) => Deno.readTextFileSync(cert));
  const crowd = new Crowd(tool.port, trusted);
  crowd.begin(clients, rate);
  for (let n = 1; n <= count; n++) {
    await copy(n % 2 === 0 ? one : two, used);
    const seen = tool.lines.length;
    tool.kill("SIGHUP");
    await tool.line(/ reloaded the certificate$/, seen);
    // Who trusts the new one only must be served from now on.
    await crowd.ask([trusted[n % 2] ?? ""]);
  }
  await crowd.end();
  tool.kill("SIGTERM");
  const { code } = await tool.ending();
  await Deno.remove(folder, { recursive: true });
  const { answered, lost } = crowd;
  console.log(
    `${count} reloads, ${answered} clients answered, ${lost.length} lost`,
  );
  for (const reason of new Set(lost)) console.log(`  lost: ${reason}`);
  return code === 0 && lost.length === 0 ? 0 : 1;
}

async function copy(from: PemFiles, to: PemFiles): Promise<void> {
  await Deno.copyFile(from.cert, to.cert);
  await Deno.copyFile(from.key, to.key);
}

/** Clients who ask all the time. */
class Crowd {
  answered = 0;
  /** Why those were lost who were. */
  readonly lost: string[] = [];
  readonly #port: number;
  readonly #trusted: string[];
  readonly #all: Promise<void>[] = [];
  #isOver = false;
  #asked = 0;

  constructor(port: number, trusted: string[]) {
    this.#port = port;
    this.#trusted = trusted;
  }

  begin(clients: number, rate: number): void {
    for (let i = 0; i < clients; i++) this.#all.push(this.#askOn());
    if (rate > 0) this.#all.push(this.#come(rate));
  }

  async end(): Promise<void> {
    this.#isOver = true;
    await Promise.all(this.#all);
  }

  /** Asks once, of a server whose certificate is one of these. */
  async ask(caCerts: string[]): Promise<void> {
    const request = `client ${this.#asked++}`;
    try {
      const conn = await Deno.connectTls({
        hostname: "localhost",
        port: this.#port,
        caCerts,
      });
      const reply = readText(conn);
      reply.catch(() => {}); // it may fail before anybody waits for it
      await writeAll(conn, new TextEncoder().encode(request));
      await conn.closeWrite();
      if (await reply !== request) throw new Error("a wrong answer");
      this.answered++;
    } catch (error) {
      this.lost.push(messageOf(error));
    }
  }

  async #askOn(): Promise<void> {
    while (!this.#isOver) await this.ask(this.#trusted);
  }

  /** Lets clients come by themselves, on average so many a second. */
  async #come(rate: number): Promise<void> {
    const asking = new Set<Promise<void>>();
    while (!this.#isOver) {
      const asked = this.ask(this.#trusted);
      asking.add(asked);
      asked.then(() => asking.delete(asked));
      await pause(-Math.log(1 - Math.random()) * 1000 / rate);
    }
    await Promise.all(asking);
  }
}

await execute({
  name: "reloads",
  help,
  flags: { string: ["count", "clients", "rate"], alias: { count: "n" } },
  read,
  run,
});
