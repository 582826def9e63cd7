import { assertEquals } from "@std/assert";
import { nearest, nearestName } from "../shared/nearest.ts";

Deno.test("nearest() finds what was meant", () => {
  const words = ["port", "host", "log-level", "log-format", "help"];
  const cases: [typed: string, meant: string | undefined][] = [
    ["port", "port"],
    ["prot", "port"],
    ["por", "port"],
    ["ports", "port"],
    ["pirt", "port"],
    ["loglevel", "log-level"],
    ["log-formt", "log-format"],
    ["hlep", "help"],
    ["PORT", "port"],
    ["quiet", undefined],
    ["x", undefined],
    ["", undefined],
  ];
  for (const [typed, meant] of cases) {
    assertEquals(nearest(typed, words), meant, typed);
  }
});

Deno.test("nearestName() also knows names by their beginnings and ends", () => {
  const names = ["hostname", "tcpBacklog", "idleTimeout", "key"];
  const cases: [typed: string, meant: string | undefined][] = [
    ["host", "hostname"],
    ["HOST", "hostname"],
    ["backlog", "tcpBacklog"],
    ["timeout", "idleTimeout"],
    ["keyFile", "key"],
    ["tlsKey", "key"],
    ["me", undefined],
    ["stna", undefined],
    ["colour", undefined],
  ];
  for (const [typed, meant] of cases) {
    assertEquals(nearestName(typed, names), meant, typed);
  }
});

Deno.test("nearest() forgives one error for every three letters", () => {
  const words = ["max-request-bytes"];
  assertEquals(nearest("max-reqest-byts", words), "max-request-bytes");
  assertEquals(nearest("xax-rexuexx-bytex", words), "max-request-bytes");
  assertEquals(nearest("xxx-rexuexx-bytex", words), undefined);
  // Two letters that follow each other, and not two others that look alike.
  assertEquals(nearest("xb", ["abc"]), undefined);
  assertEquals(nearest("prot", ["poet", "port"]), "port");
});
