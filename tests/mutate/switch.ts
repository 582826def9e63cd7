// Loaded before a test file of the copy: activates a mutant, or writes down at the
// end which mutants were passed by.

const scope = globalThis as { __stryker__?: Record<string, unknown> };
const stryker = scope.__stryker__ ??= {};
const mutant = Deno.env.get("MUTANT");
if (mutant !== undefined) stryker["activeMutant"] = mutant;

const coverage = Deno.env.get("MUTANTS_COVERED");
if (coverage !== undefined) {
  addEventListener("unload", () => {
    const { static: passed = {} } = (stryker["mutantCoverage"] ?? {}) as {
      static?: object;
    };
    Deno.writeTextFileSync(coverage, JSON.stringify(Object.keys(passed)));
  });
}
