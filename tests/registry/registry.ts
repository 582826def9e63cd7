// A small JSR on loopback: what `deno publish` sends it, Deno can import.

/** Takes packages, keeps them in a folder, and gives their files. */
export class Registry implements AsyncDisposable {
  /** The paths that were asked for. */
  readonly requests: string[] = [];
  readonly #folder = Deno.makeTempDirSync();
  readonly #upstream: string | undefined;
  readonly #server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen() {} },
    (request) => this.#answer(request),
  );

  /** @param upstream The registry that has the packages of `@std`, if one has. */
  constructor(upstream: string | undefined) {
    this.#upstream = upstream;
  }

  get url(): string {
    return `http://127.0.0.1:${this.#server.addr.port}/`;
  }

  async #answer(request: Request): Promise<Response> {
    const { pathname, searchParams } = new URL(request.url);
    const [, scope, name, version] =
      /^\/api\/scopes\/(\w+)\/packages\/(\w+)(?:\/versions\/([^/]+))?$/
        .exec(pathname) ?? [];
    const place = `${this.#folder}/@${scope}/${name}`;
    if (request.method === "POST" && version && request.body) {
      const config = searchParams.get("config") ?? "/deno.json";
      await publish(request.body, place, version, config);
      return Response.json({ id: "1", status: "success", error: null });
    }
    if (scope && !version) return Response.json({ scope, name });
    this.requests.push(pathname);
    if (this.#upstream && pathname.startsWith("/@std/")) {
      return await fetch(this.#upstream + pathname.slice(1), {
        headers: { accept: request.headers.get("accept") ?? "*/*" },
      });
    }
    try {
      const file = await Deno.readFile(this.#folder + pathname);
      const type = pathname.endsWith(".json")
        ? "application/json"
        : "text/typescript";
      return new Response(file, { headers: { "content-type": type } });
    } catch {
      return new Response("not found", { status: 404 });
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.shutdown();
    await Deno.remove(this.#folder, { recursive: true });
  }
}

async function publish(
  archive: ReadableStream<Uint8Array<ArrayBuffer>>,
  place: string,
  version: string,
  config: string,
): Promise<void> {
  const folder = `${place}/${version}`;
  await Deno.mkdir(folder, { recursive: true });
  const tar = new Deno.Command("tar", {
    args: ["-xzf", "-", "-C", folder],
    stdin: "piped",
  }).spawn();
  await archive.pipeTo(tar.stdin);
  if (!(await tar.status).success) throw new Error("No archive was sent");
  const manifest: Record<string, { size: number; checksum: string }> = {};
  for (const path of filesIn(folder)) {
    const bytes = await Deno.readFile(folder + path);
    const digest = await crypto.subtle.digest("SHA-256", bytes);
    const checksum = `sha256-${new Uint8Array(digest).toHex()}`;
    manifest[path] = { size: bytes.length, checksum };
  }
  const { exports } = JSON.parse(await Deno.readTextFile(folder + config));
  const write = (path: string, value: unknown) =>
    Deno.writeTextFile(`${place}/${path}`, JSON.stringify(value));
  await write(`${version}_meta.json`, { manifest, exports });
  await write("meta.json", { latest: version, versions: { [version]: {} } });
}

function* filesIn(folder: string, at = ""): Generator<string> {
  for (const { name, isDirectory } of Deno.readDirSync(folder + at)) {
    if (isDirectory) yield* filesIn(folder, `${at}/${name}`);
    else yield `${at}/${name}`;
  }
}
