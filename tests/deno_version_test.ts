// What is said where Deno, or the system, lacks what is needed.

import { assertRejects, assertThrows } from "@std/assert";
import { listen, request } from "../mod.ts";
import { local } from "./sockets.ts";
import { cert, key } from "./tls.ts";
import { checkRefusal, Tool } from "./tool.ts";

/** Has Deno say something else of itself. */
function pretend(name: "version" | "build", value: object): Disposable {
  const own = Object.getOwnPropertyDescriptor(Deno, name) ?? {};
  Object.defineProperty(Deno, name, {
    configurable: true,
    value: { ...Deno[name], ...value },
  });
  return { [Symbol.dispose]: () => Object.defineProperty(Deno, name, own) };
}

for (const deno of ["2.9.4", "2.2.0", "1.46.3"]) {
  Deno.test(`listen() and request() need a later Deno than ${deno}`, async () => {
    using _ = pretend("version", { deno });
    const message = `needs Deno 2.9.5 or later, and this is ${deno}`;
    assertThrows(() => listen(local), Deno.errors.NotSupported, message);
    await assertRejects(
      () => request({ port: 1 }, ""),
      Deno.errors.NotSupported,
      message,
    );
  });
}

Deno.test("cli: needs a later Deno than 2.9.4", async () => {
  const entry = "tests/testdata/old_deno.ts";
  const ending = await Tool.run(["--version"], { entry });
  checkRefusal(ending, 1, "needs Deno 2.9.5 or later, and this is 2.9.4");
});

for (const deno of ["2.9.5", "2.10.0", "3.0.0", "2.9.6+0a1b2c3"]) {
  Deno.test(`listen() takes Deno ${deno}`, async () => {
    using _ = pretend("version", { deno });
    await listen(local).close();
  });
}

for (const os of ["darwin", "windows"]) {
  Deno.test(`listen() and setCertificate() say that ${os} has no reusePort`, async () => {
    using _ = pretend("build", { os });
    assertThrows(
      () => listen({ ...local, reusePort: true }),
      TypeError,
      `"reusePort" needs Linux, Deno does not have it on ${os}`,
    );
    await using listener = listen({ ...local, cert, key });
    await assertRejects(
      () => listener.setCertificate({ cert, key }),
      TypeError,
      `which Deno does not have on ${os}`,
    );
  });
}

Deno.test("listen() and request() say that Windows has no Unix sockets", async () => {
  using _ = pretend("build", { os: "windows" });
  const path = "/tmp/none.sock";
  assertThrows(() => listen({ path }), TypeError, "on Windows");
  await assertRejects(() => request({ path }, ""), TypeError, "on Windows");
});
