// A server that changes its certificate: some are in its backlog, some come
// later, it is changed twice at once, while it stops, and as it is closed. The
// arguments are the files of two certificates: cert, key, cert, key.
import { listen, serve, type Server } from "../../server.ts";

type Certificate = Parameters<Server["setCertificate"]>[0];

const [one, two] = [Deno.args.slice(0, 2), Deno.args.slice(2)].map((files) => {
  const [cert = "", key = ""] = files.map((file) =>
    Deno.readTextFileSync(file)
  );
  return { cert, key };
}) as [Certificate, Certificate];

const text = async (conn: { text(): Promise<string> }) => await conn.text();
const options = { hostname: "127.0.0.1", port: 0, reusePort: true, ...one };

async function wait(server: Server, count: number): Promise<Deno.TcpConn[]> {
  const { port } = server.addr as Deno.NetAddr;
  return await Promise.all(
    Array.from({ length: count }, () => Deno.connect({ port })),
  );
}

/** Which of the certificates these clients see; throws if one is not served. */
async function seen(
  clients: Deno.TcpConn[],
  certificate: Certificate,
): Promise<string> {
  await Promise.all(clients.map(async (client) => {
    const hostname = "localhost";
    const caCerts = [certificate.cert];
    const conn = await Deno.startTls(client, { hostname, caCerts });
    await conn.write(new TextEncoder().encode("hello"));
    await conn.closeWrite();
    const reply = await new Response(conn.readable).text();
    if (reply !== "hello") throw new Error(`answered "${reply}"`);
  }));
  return certificate === one ? "one" : "two";
}

for (const readAhead of [0, 3]) {
  const server = serve({ ...options, readAhead }, text);
  const early = await wait(server, 10);
  const changed = server.setCertificate(two);
  const saw = [await seen(early, one)];
  await changed;
  saw.push(await seen(await wait(server, 10), two));
  const twice = [server.setCertificate(one), server.setCertificate(two)];
  await Promise.all(twice);
  saw.push(await seen(await wait(server, 10), two));
  const broken = { cert: "no certificate", key: "no key" };
  const error = await server.setCertificate(broken).catch((error) =>
    error.name
  );
  const late = await wait(server, 10);
  const last = server.setCertificate(one);
  const stopped = server.shutdown();
  saw.push(await seen(late, two));
  await Promise.all([last, stopped, server.finished]);
  const listener = listen({ ...options, readAhead });
  const replaced = listener.setCertificate(two);
  listener.close();
  await replaced;
  const refusal = await Deno.connect({ port: listener.addr.port })
    .catch((error) => error);
  console.log(saw.join(), error, refusal.name);
}
