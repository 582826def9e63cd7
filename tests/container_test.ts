// The Dockerfile and deploy/kubernetes.yaml: what can be told of them without an
// engine that runs containers.

import { assert, assertEquals, assertMatch } from "@std/assert";
import { serveFlags } from "../cli/args/flags.ts";
import { fromNpm } from "./npm.ts";
import { importMap, root, runDeno } from "./programs.ts";
import { ask, freePort } from "./sockets.ts";
import { temporaryFolder, testIf, testWithSignals } from "./support.ts";
import { seconds, unknownFlags, valueOf } from "./deploy.ts";
import { Tool } from "./tool.ts";

function read(path: string): string {
  return Deno.readTextFileSync(`${root}/${path}`);
}

const dockerfile = read("Dockerfile").replaceAll(/\\\n\s*/g, "");

/** The words of an instruction that has them as JSON. */
function wordsOf(instruction: RegExp): string[] {
  const [, words = ""] = instruction.exec(dockerfile) ?? [];
  return JSON.parse(words);
}

const entrypoint = wordsOf(/^ENTRYPOINT (\[.*\])$/m);
const health = wordsOf(/^HEALTHCHECK .*CMD (\[.*\])$/m);

const linter = await fromNpm<{
  validate(content: string): { message: string }[];
}>("dockerfile-utils@0.16.3");

testIf(
  linter !== undefined,
  "dockerfile-utils",
  "Dockerfile has no faults",
  () => {
    assertEquals(linter?.validate(read("Dockerfile")), []);
  },
);

Deno.test("Dockerfile runs as nobody special, and caches what it needs", () => {
  assertMatch(dockerfile, /^FROM denoland\/deno:\d+\.\d+\.\d+$/m);
  assertMatch(dockerfile, /^USER [1-9]\d+:[1-9]\d+$/m);
  assertMatch(dockerfile, /^RUN deno cache cli\.ts deploy\/healthcheck\.ts$/m);
  for (const words of [entrypoint, health]) {
    assert(words.includes("--cached-only") && words.includes("--no-prompt"));
    assertEquals(words.filter((word) => /^-A$|^--allow-all/.test(word)), []);
  }
});

// It is built in another change; once it is there, these run.
const hasMetrics = "metrics" in serveFlags && "lame-duck" in serveFlags;

testIf(
  hasMetrics,
  "--metrics",
  "Dockerfile gives the permissions that suffice",
  async () => {
    await using folder = await temporaryFolder();
    const module = "export default async (conn) => (await conn.text()) + '!';";
    await Deno.writeTextFile(`${folder.path}/handler.ts`, module);
    const ports = { 8080: `${freePort()}`, 9090: `${freePort()}` };
    const here = (words: string[]) =>
      words.map((word) =>
        word.replaceAll("8080", ports[8080]).replaceAll("9090", ports[9090])
          .replaceAll("/srv", folder.path).replaceAll("/halfclose/", `${root}/`)
      );
    const at = entrypoint.indexOf("run");
    const args = [...here(entrypoint.slice(at + 1)), "--port", ports[8080]];
    await using tool = new Tool(
      ["run", ...importMap(), ...args, `${folder.path}/handler.ts`],
      { command: Deno.execPath() },
    );
    await tool.line(/"event":"listening"/);
    assertEquals(await ask({ port: Number(ports[8080]) }, "hello"), "hello!");
    // The check takes no turn.
    const check = [
      ...here(health.slice(1)),
      `http://127.0.0.1:${ports[9090]}/healthz`,
    ];
    assertEquals((await runDeno(...check)).code, 0);
    tool.kill("SIGTERM");
    const { code, lines } = await tool.ending();
    assertEquals(code, 0, lines.join("\n"));
    assertMatch(lines.at(-1) ?? "", /"exchanges":1/);
  },
);

testWithSignals(
  "deploy/healthcheck.ts tells by its status whether a server is healthy",
  async () => {
    const statuses = [200, 503];
    await using http = Deno.serve(
      { hostname: "127.0.0.1", port: 0, onListen() {} },
      () => new Response("", { status: statuses.shift() ?? 200 }),
    );
    const { port } = http.addr;
    const check = async (port: number | string) => {
      const url = `http://127.0.0.1:${port}/healthz`;
      const flags = ["--no-prompt", `-N=127.0.0.1:${port}`];
      return await runDeno(
        "run",
        ...flags,
        `${root}/deploy/healthcheck.ts`,
        url,
      );
    };
    assertEquals(await check(port), { code: 0, stdout: "", stderr: "" });
    assertEquals(await check(port), { code: 1, stdout: "", stderr: "" });
    assertEquals(await check(`${freePort()}`), {
      code: 1,
      stdout: "",
      stderr: "",
    });
  },
);

const yaml = await fromNpm<{
  parseAllDocuments(text: string): { errors: unknown[]; toJS(): unknown }[];
}>("yaml@2.8.1");

/** A probe of a container. */
interface Probe {
  httpGet: { path: string; port: string };
}

/** What the tests look at. */
interface Manifest {
  kind: string;
  metadata: { name: string };
  spec: {
    selector: Record<string, unknown>;
    ports: { targetPort: string }[];
    template: {
      metadata: { labels: Record<string, string> };
      spec: {
        terminationGracePeriodSeconds: number;
        securityContext: Record<string, unknown>;
        containers: [{
          args: string[];
          ports: { name: string; containerPort: number }[];
          resources: { limits: { memory: string } };
          securityContext: Record<string, unknown>;
          startupProbe: Probe;
          readinessProbe: Probe;
          livenessProbe: Probe;
        }];
      };
    };
  };
}

function manifests(): Record<string, Manifest> {
  const documents = yaml?.parseAllDocuments(read("deploy/kubernetes.yaml")) ??
    [];
  assertEquals(documents.flatMap(({ errors }) => errors), []);
  return Object.fromEntries(
    documents.map((document) => {
      const manifest = document.toJS() as Manifest;
      return [manifest.kind, manifest];
    }),
  );
}

testIf(
  yaml !== undefined,
  "yaml",
  "deploy/kubernetes.yaml suits a server that serves one exchange at a time",
  () => {
    const { Deployment, Service, PodDisruptionBudget } = manifests();
    const pod = Deployment?.spec.template.spec;
    const container = pod?.containers[0];
    assert(Deployment && Service && PodDisruptionBudget && pod && container);
    const { args } = container;
    const stop = seconds(valueOf(args, "--lame-duck")) +
      2 * seconds(valueOf(args, "--deadline")) + 2;
    assert(pod.terminationGracePeriodSeconds > stop);
    const ports = container.ports.map((
      { name, containerPort },
    ) => [name, containerPort]);
    assertEquals(ports, [["halfclose", 8080], ["metrics", 9090]]);
    assertEquals(Service.spec.ports.map(({ targetPort }) => targetPort), [
      "halfclose",
    ]);
    const probes = ["startupProbe", "readinessProbe", "livenessProbe"] as const;
    assertEquals(probes.map((name) => container[name].httpGet), [
      { path: "/healthz", port: "metrics" },
      { path: "/healthz", port: "metrics" },
      { path: "/metrics", port: "metrics" },
    ]);
    const { labels } = Deployment.spec.template.metadata;
    assertEquals(Service.spec.selector, labels);
    for (const { spec } of [Deployment, PodDisruptionBudget]) {
      assertEquals(spec.selector, { matchLabels: labels });
    }
    assertEquals(pod.securityContext, {
      runAsNonRoot: true,
      runAsUser: 1993,
      runAsGroup: 1993,
      seccompProfile: { type: "RuntimeDefault" },
    });
    assertEquals(container.securityContext, {
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ["ALL"] },
    });
  },
);

testIf(
  yaml !== undefined && hasMetrics,
  "yaml and --metrics",
  "the container files give the tool flags that it has",
  () => {
    const args = manifests()["Deployment"]?.spec.template.spec.containers[0]
      .args;
    const entry = entrypoint.indexOf("/halfclose/cli.ts");
    const all = [...args ?? [], ...entrypoint.slice(entry + 1)];
    assertEquals(unknownFlags(all), []);
  },
);

type Model = new (manifest: unknown) => { validate(): void };
const groups = ["v1", "apps/v1", "policy/v1"];
const models = await Promise.all(
  groups.map((group) =>
    fromNpm<Record<string, Model>>(`kubernetes-models@5.1.0/${group}`)
  ),
);

testIf(
  yaml !== undefined && models.every((model) => model !== undefined),
  "kubernetes-models",
  "deploy/kubernetes.yaml has the types that Kubernetes expects",
  () => {
    const known: Record<string, Model> = Object.assign({}, ...models);
    const all = Object.values(manifests());
    assertEquals(all.length, 4);
    for (const manifest of all) {
      const Model = known[manifest.kind];
      assert(Model, manifest.kind);
      new Model(manifest).validate();
    }
  },
);
