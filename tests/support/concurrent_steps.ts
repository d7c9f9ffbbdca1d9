/** Runs test cases that mostly wait beside each other, each with a name of its own. */

/** One test whose steps run at once; none may share anything with another. */
export function testAtOnce(name: string, cases: Readonly<Record<string, () => Promise<void>>>): void {
  // Deno can't tell whose operation is whose among steps that run at once; the test as a whole is still checked.
  const unchecked = { sanitizeOps: false, sanitizeResources: false, sanitizeExit: false };
  Deno.test(name, async (t) => {
    await Promise.all(Object.entries(cases).map(([name, fn]) => t.step({ name, fn, ...unchecked })));
  });
}
