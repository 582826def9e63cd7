/**
 * Runs the `jsr:` lines of README.md and docs/cli.md, a program of README.md, and
 * the tests of docs/testing.md, as they stand there, in a fresh cache: from a
 * registry of its own, into which it publishes the checkout, and the stand-ins if
 * JSR does not answer; or with `--jsr` all from JSR. The port 8080 must be free.
 */

import { linksTo } from "../../offline/dry_run.ts";
import { importMapFlag, registryUrl } from "../../offline/flag.ts";
import { filesOf, readPage } from "../page.ts";
import { Registry } from "./registry.ts";

const root = `${import.meta.dirname}/../..`;
const folder = await Deno.makeTempDir();
const env: Record<string, string> = {
  DENO_DIR: `${folder}/cache`,
  DENO_INSTALL_ROOT: `${folder}/installed`,
  NO_COLOR: "1",
};
const read = (path: string) => Deno.readTextFileSync(`${root}/${path}`);

/** What each line replies to `hello`, or prints. */
const replies: [line: RegExp, reply: RegExp][] = [
  [/ send --receipt /, /^[\da-f]{64} {2}\d{8}T\S+\n$/],
  [/--sink inbox$/, /^[\da-f]{64} {2}\d{8}T\S+\n$/],
  [/^echo hello \| /, /^hello\n$/],
  [/-- wc -w$/, /^\s*1\n$/],
  [/upper\.ts$/, /^HELLO\n$/],
  [/server$/, /^hello\n$/],
];

async function run(cwd: string, command: string): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command("sh", {
    args: ["-c", command],
    cwd,
    env,
  }).output();
  const said = new TextDecoder().decode(stdout);
  if (success) return said;
  throw new Error(`${command}\n${said}${new TextDecoder().decode(stderr)}`);
}

/** Starts a server, and has `ask` talk to it. */
async function withServer(
  line: string,
  ask: () => Promise<string>,
): Promise<string> {
  const server = new Deno.Command("sh", {
    args: ["-c", `exec ${line}`],
    cwd: folder,
    env,
    stderr: "piped",
  }).spawn();
  let log = "";
  for await (const text of server.stderr.pipeThrough(new TextDecoderStream())) {
    log += text;
    if (/INFO listening on 0\.0\.0\.0:8080/.test(log)) break;
  }
  try {
    return await ask();
  } catch (error) {
    throw new Error(`${line}\n${log}`, { cause: error });
  } finally {
    server.kill("SIGKILL");
    await server.status;
  }
}

async function hello(): Promise<string> {
  using conn = await Deno.connect({ port: 8080 });
  await conn.write(new TextEncoder().encode("hello\n"));
  await conn.closeWrite();
  return await new Response(conn.readable).text();
}

const publish = "deno publish --allow-dirty --no-provenance --token none";

async function publishStandIns(): Promise<void> {
  const config = JSON.parse(read("deno.json"));
  const map = JSON.parse(read("offline/import_map.json"));
  for (const link of linksTo(config.imports, map.imports)) {
    const place = `${folder}/${link.name}`;
    await Deno.mkdir(place, { recursive: true });
    for (const file of Object.values(link.exports)) {
      await Deno.copyFile(`${root}/offline/${file}`, `${place}/${file}`);
    }
    await Deno.writeTextFile(
      `${place}/deno.json`,
      JSON.stringify({ ...link, license: "MIT" }),
    );
    await run(place, `${publish} --no-check --allow-slow-types`);
  }
}

const isJsr = Deno.args.includes("--jsr");
const hasReal = await importMapFlag() === "";
await using registry = new Registry(hasReal ? await registryUrl() : undefined);
if (!isJsr) {
  env["JSR_URL"] = registry.url;
  if (!hasReal) await publishStandIns();
  await run(root, publish);
  registry.requests.length = 0;
}
await Deno.mkdir(`${folder}/inbox`);
const [, upper = ""] = /^```ts ignore\n([^]*?toUpperCase[^]*?)^```$/m
  .exec(read("docs/cli.md")) ?? [];
await Deno.writeTextFile(`${folder}/upper.ts`, upper);
await Deno.writeTextFile(
  `${folder}/library.ts`,
  'import { listen } from "jsr:@halfclose/server"; console.log(typeof listen);',
);
await run(folder, "deno run --no-config library.ts");
const excess = registry.requests.filter((path) =>
  /@std|\/cli(\/|\.ts)/.test(path)
);
if (excess.length > 0) throw new Error(`An import fetches ${excess}`);
for (const [name, content] of Object.entries(filesOf(readPage("testing.md")))) {
  if (!name.endsWith("_test.ts")) continue;
  await Deno.writeTextFile(`${folder}/${name}`, content);
  console.log(`deno test -N ${name}`);
  await run(folder, `deno test --no-config -N ${name}`);
}
const [, program = ""] = /^```ts ignore\n(import \{ request, [^]*?)^```$/m
  .exec(read("README.md")) ?? [];
await Deno.writeTextFile(`${folder}/program.ts`, program);
const printed = await run(folder, "deno run --no-config -N program.ts");
if (printed !== "HELLO\n") throw new Error(`The program prints ${printed}`);
const project = `${folder}/project`;
await Deno.mkdir(project);
const lines = new Set(
  `${read("README.md")}\n${read("docs/cli.md")}`
    .match(
      /^(?:echo hello \| )?deno (?:add|install|run) .*jsr:@halfclose.*$/gm,
    ),
);
const [echo = ""] = [...lines].filter((line) => line.endsWith("/server"));
const [sink = ""] = [...lines].filter((line) => line.endsWith("--sink inbox"));
await Deno.writeTextFile(`${folder}/report.pdf`, "a report");
for (const line of lines) {
  console.log(line);
  if (line.startsWith("deno install")) await run(folder, line);
  else if (line.startsWith("deno add")) await run(project, line);
  else {
    const [, expected] = replies.find(([of]) => of.test(line)) ?? [];
    const isClient = line.includes(" send ");
    const replied = await (isClient
      ? withServer(line.includes(" --receipt ") ? sink : echo, () =>
        run(folder, line))
      : withServer(line, hello));
    if (!expected?.test(replied)) {
      throw new Error(`It replies ${replied}`);
    }
  }
}
const { version } = JSON.parse(read("deno.json"));
const said = await run(folder, "installed/bin/halfclose --version");
if (said !== `halfclose ${version}\n`) throw new Error(`It is ${said}`);
await Deno.remove(folder, { recursive: true });
