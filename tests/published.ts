// A Deno that takes this checkout for what is published.

import { importMap, importsForInstall, root } from "./programs.ts";

/**
 * Puts it into a folder.
 *
 * @returns The PATH with which shells find it first.
 */
export async function putDenoInto(folder: string): Promise<string> {
  const map = importMap();
  const config = ["--config", `${root}/deno.json`];
  const deno = `#!/bin/sh
command=$1
shift
for word; do
  shift
  case $word in
    jsr:@halfclose/server | jsr:@halfclose/server/cli) word='${root}/cli.ts' ;;
  esac
  set -- "$@" "$word"
done
case $command in
  task) ;;
  install) set -- ${quoted(importsForInstall())} "$@" ;;
  *) set -- ${quoted([...config, ...map])} "$@" ;;
esac
exec '${Deno.execPath()}' "$command" "$@"
`;
  await Deno.mkdir(folder);
  await Deno.writeTextFile(`${folder}/deno`, deno, { mode: 0o755 });
  return `${folder}:${Deno.env.get("PATH")}`;
}

function quoted(words: readonly string[]): string {
  return words.map((word) => `'${word}'`).join(" ");
}
