// Changing the certificate of a server that goes on.

import { assertEquals, assertRejects } from "@std/assert";
import { listen, serve } from "../mod.ts";
import { printed, runDeno } from "./programs.ts";
import { local } from "./sockets.ts";
import { temporaryFolder, testIf } from "./support.ts";
import { cert, key, newCertificate } from "./tls.ts";

const hasOpenssl = await printed(["openssl", "version"]) !== undefined;

testIf(
  hasOpenssl && Deno.build.os === "linux",
  "Linux and openssl",
  "setCertificate() changes it for those who come, serves those who wait, and leaves nothing open",
  async () => {
    await using folder = await temporaryFolder();
    const { path } = folder;
    const one = await newCertificate(`${path}/one`);
    const two = await newCertificate(`${path}/two`);
    const flags = ["--no-config", "--unstable-net", "-N", `-R=${path}`];
    const file = new URL("testdata/set_certificate.ts", import.meta.url).href;
    const args = [one.cert, one.key, two.cert, two.key];
    const { stdout, stderr } = await runDeno("run", ...flags, file, ...args);
    const expected = "one,two,two,two InvalidData ConnectionRefused\n";
    assertEquals({ stdout, stderr }, {
      stdout: expected.repeat(2),
      stderr: "",
    });
  },
);

const rejected = [
  [{}, { cert, key }, "the server does not speak TLS"],
  [{ cert, key }, { cert, key }, "Start the server with `reusePort`"],
  [{ cert, key }, { cert }, 'option "cert" needs "key"'],
  [{ cert, key }, {}, 'option "cert" must be a string, received undefined'],
  [
    { cert, key },
    { cert: 1, key },
    'option "cert" must be a string, received 1',
  ],
  [{ cert, key }, undefined, "the options must be an object"],
] as const;

Deno.test("setCertificate() rejects what cannot be, and the server goes on", async () => {
  for (const [options, certificate, message] of rejected) {
    for (
      const server of [
        listen({ ...local, ...options }),
        serve({ ...local, ...options }, () => {}),
      ]
    ) {
      await assertRejects(
        () => server.setCertificate(certificate as never),
        TypeError,
        message,
      );
      await server.shutdown();
    }
  }
});
