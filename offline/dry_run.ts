/**
 * Rehearses the publication, as `deno publish --dry-run` does, also where JSR
 * cannot be reached: a copy of the checkout is then linked to the stand-ins.
 * It needs git, which knows the files of the checkout.
 *
 * ```sh
 * deno run -A offline/dry_run.ts
 * ```
 *
 * @module
 */

import { importMapFlag } from "./flag.ts";

/** What is linked: the packages of `imports`, with the stand-ins' modules. */
interface Link {
  name: string;
  version: string;
  exports: Record<string, string>;
}

const root = new URL("../", import.meta.url);

/**
 * Returns packages that export the stand-ins under the names of the real ones.
 *
 * @param published The `imports` of `deno.json`.
 * @param standIns The `imports` of the import map, relative to its folder.
 */
export function linksTo(
  published: Readonly<Record<string, string>>,
  standIns: Readonly<Record<string, string>>,
): Link[] {
  return Object.entries(published).map(([name, specifier]) => {
    const [, version] = /@[~^]?([\d.]+)$/.exec(specifier) ?? [];
    if (!version) throw new Error(`No version in the import ${specifier}`);
    const exports = Object.entries(standIns)
      .filter(([module]) => module === name || module.startsWith(`${name}/`))
      .map(([module, file]) => [`.${module.slice(name.length)}`, file]);
    return { name, version, exports: Object.fromEntries(exports) };
  });
}

async function run(cwd: URL | string, ...command: string[]): Promise<void> {
  const [program = "", ...args] = command;
  const { code } = await new Deno.Command(program, { args, cwd }).spawn()
    .status;
  if (code !== 0) Deno.exit(code);
}

async function readJson(path: string) {
  return JSON.parse(await Deno.readTextFile(new URL(path, root)));
}

/** What git knows of, and what it would add. */
async function filesOfCheckout(): Promise<string[]> {
  const { stdout } = await new Deno.Command("git", {
    args: ["ls-files", "-z", "--cached", "--others", "--exclude-standard"],
    cwd: root,
  }).output();
  return new TextDecoder().decode(stdout).split("\0").filter((file) => file);
}

/** Makes a copy of the checkout in a folder, linked to packages beside it. */
async function copyLinked(folder: string): Promise<string> {
  const copy = `${folder}/checkout`;
  for (const file of await filesOfCheckout()) {
    const place = `${copy}/${file}`;
    await Deno.mkdir(place.slice(0, place.lastIndexOf("/")), {
      recursive: true,
    });
    await Deno.copyFile(new URL(file, root), place);
  }
  const config = await readJson("deno.json");
  const { imports: standIns } = await readJson("offline/import_map.json");
  const links = linksTo(config.imports, standIns);
  for (const [at, link] of links.entries()) {
    const place = `${folder}/${at}`;
    await Deno.mkdir(place);
    for (const file of Object.values(link.exports)) {
      await Deno.copyFile(
        new URL(file, new URL("offline/", root)),
        `${place}/${file}`,
      );
    }
    await Deno.writeTextFile(`${place}/deno.json`, JSON.stringify(link));
  }
  config.links = links.map((_, at) => `../${at}`);
  await Deno.writeTextFile(`${copy}/deno.json`, JSON.stringify(config));
  return copy;
}

if (import.meta.main) {
  const rehearse = [Deno.execPath(), "publish", "--dry-run", "--allow-dirty"];
  if (await importMapFlag() === "") await run(root, ...rehearse);
  else {
    const folder = await Deno.makeTempDir();
    try {
      await run(await copyLinked(folder), ...rehearse);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  }
}
