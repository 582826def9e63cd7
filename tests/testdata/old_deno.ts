// The tool on a Deno that is too old.

import { main } from "../../cli.ts";

Object.defineProperty(Deno, "version", { value: { deno: "2.9.4" } });
Deno.exit(await main(Deno.args));
