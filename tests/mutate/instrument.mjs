// Puts all mutants into the sources, each behind a switch. It runs in a folder of
// its own, beside the `node_modules` with Stryker's instrumenter, as part of that is
// not exported:
//
//   deno run -A instrument.mjs FOLDER FILE…
//
// It prints the mutants as JSON.

// Where nothing is installed, it could not be checked otherwise.
const stryker = import.meta.resolve(
  "./node_modules/@stryker-mutator/instrumenter/dist/src",
);
const { Instrumenter } = await import(`${stryker}/index.js`);
const { allMutators } = await import(`${stryker}/mutators/mutate.js`);

/** Mutants of words, and of data that is all words. */
const excludedMutations = [
  "StringLiteral",
  "Regex",
  "ObjectLiteral",
  "ArrayDeclaration",
  "ArrowFunction",
  "EmptyExpression",
];

/** What Stryker has no mutator for: forgetting to wait, and forgetting to call. */
allMutators.push({
  name: "Await",
  *mutate(path) {
    if (path.isAwaitExpression()) yield structuredClone(path.node.argument);
  },
}, {
  name: "Call",
  *mutate(path) {
    if (!path.isExpressionStatement()) return;
    const { expression } = path.node;
    const called = expression.type === "AwaitExpression"
      ? expression.argument
      : expression;
    if (/^(?:Optional)?CallExpression$/.test(called.type)) {
      yield { type: "BlockStatement", body: [], directives: [] };
    }
  },
});

const silent = () => {};
const logger = new Proxy({}, {
  get: (_, name) => `${String(name)}`.startsWith("is") ? () => false : silent,
});

const [folder, ...names] = Deno.args;
const files = names.map((name) => ({
  name,
  mutate: true,
  content: Deno.readTextFileSync(`${folder}/${name}`),
}));
const { files: instrumented, mutants } = await new Instrumenter(logger)
  .instrument(files, { plugins: null, excludedMutations, ignorers: [] });
for (const { name, content } of instrumented) {
  // Reading the environment needs a permission that the tool does not have.
  const code = content.replaceAll(
    "g.process && g.process.env",
    "false && g.process",
  );
  Deno.writeTextFileSync(
    `${folder}/${name}`,
    `// @ts-nocheck mutants\n${code}`,
  );
}
console.log(JSON.stringify(mutants));
