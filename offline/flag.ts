/**
 * Prints the flag that makes Deno use the stand-ins, if JSR cannot be reached,
 * and nothing otherwise. It never fails and never asks for a permission, so a
 * task can always start with it:
 *
 * ```sh
 * deno test $(deno run -N -E=JSR_URL offline/flag.ts)
 * ```
 *
 * @module
 */

const PACKAGES = ["assert", "cli", "log"];
const TIMEOUT = 3_000;

/**
 * Returns the flag that makes Deno use the stand-ins, or `""` if JSR can be
 * reached, that is if `fetchMeta` gets the metadata of all packages.
 */
export async function importMapFlag(
  fetchMeta: (name: string) => Promise<unknown> = fetchMetaFromJsr,
): Promise<string> {
  try {
    const metas = await Promise.all(PACKAGES.map(fetchMeta));
    if (metas.every(isMeta)) return "";
  } catch {
    // Whatever it was, the packages are not to be had.
  }
  return "--import-map=offline/import_map.json";
}

async function fetchMetaFromJsr(name: string): Promise<unknown> {
  const { host, href } = new URL(await registryUrl());
  const net = await Deno.permissions.query({ name: "net", host });
  // Without the permission, fetching would ask for it.
  if (net.state !== "granted") return undefined;
  const response = await fetch(`${href}@std/${name}/meta.json`, {
    redirect: "error",
    signal: AbortSignal.timeout(TIMEOUT),
  });
  return await response.json();
}

/** Where Deno looks for packages: `JSR_URL`, if that is set and may be read. */
export async function registryUrl(): Promise<string> {
  const env = await Deno.permissions.query({
    name: "env",
    variable: "JSR_URL",
  });
  const url = env.state === "granted" && Deno.env.get("JSR_URL");
  return url ? `${url.replace(/\/$/, "")}/` : "https://jsr.io/";
}

/** Tells metadata from what a captive portal or a proxy answers. */
function isMeta(answer: unknown): boolean {
  return typeof answer === "object" && answer !== null &&
    "versions" in answer;
}

if (import.meta.main) {
  const flag = await importMapFlag();
  if (flag) console.log(flag);
  // A request that another one's failure has made pointless may still run.
  Deno.exit();
}
