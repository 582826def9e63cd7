// Ends with status 0 if the server is healthy, or with 1: a HEALTHCHECK for
// images without curl. It asks the port of `--metrics`, which takes no turn.
const url = Deno.args[0] ?? "http://127.0.0.1:9090/healthz";
const isHealthy = await fetch(url).then(({ ok }) => ok, () => false);
Deno.exit(isHealthy ? 0 : 1);
