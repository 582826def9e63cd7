// No relay: what the others are compared with.

import { testRelay } from "./relay.ts";

testRelay({
  name: "no relay",
  start: (port) =>
    Promise.resolve({ port, [Symbol.asyncDispose]: () => Promise.resolve() }),
});
