/**
 * Builds the bundle: a folder of modules that Deno runs as it is, each read when it is reached and not before.
 * `deno run -A build/bundle.ts <folder>` makes the folder anew.
 */

import { StoppedError, stopSignal } from "./stop_signal.ts";

const CHECKOUT = decodeURIComponent(new URL("..", import.meta.url).pathname);

/**
 * Makes `folder` anew; its `main.js` is the program. Not minified: the minifier of Deno 2.9.6 (esbuild 0.25.5) turns
 * `using lock = await f(); return lock === null ? a : b` into `return (await f()) === null ? a : b`, which never frees
 * the lock. That costs less than a millisecond at the start.
 *
 * @throws Error when the bundler fails, or the reason of an abort, which ends the bundler.
 */
export async function bundle(folder: string, signal: AbortSignal | null = null): Promise<void> {
  await Deno.remove(folder, { recursive: true }).catch((error) => {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  });
  const { code } = await new Deno.Command(Deno.execPath(), {
    args: ["bundle", "--quiet", "--code-splitting", "--outdir", folder, `${CHECKOUT}main.ts`],
    stdin: "null",
    stdout: "inherit",
    stderr: "inherit",
    ...(signal === null ? {} : { signal }),
  }).spawn().status;
  signal?.throwIfAborted();
  if (code !== 0) throw new Error(`Cannot build the bundle: deno bundle ended with exit code ${code}`);
  await makeImportsLazy(folder);
}

/**
 * Deno reads every file that a literal `import("./x.js")` names before the program starts, whether it will be needed
 * or not (50 microseconds each, measured with 2.9.6, and there are over a hundred); a name that is computed is read
 * when the import is reached.
 */
async function makeImportsLazy(folder: string): Promise<void> {
  let rewritten = 0;
  for await (const { name } of Deno.readDir(folder)) {
    if (!name.endsWith(".js")) continue;
    const path = `${folder}/${name}`;
    const text = await Deno.readTextFile(path);
    const lazy = text.replace(/\bimport\(("\.\/[\w.-]+\.js")\)/g, (_, file: string) => {
      rewritten++;
      return `import(String(${file}))`;
    });
    await Deno.writeTextFile(path, lazy);
  }
  if (rewritten === 0) {
    throw new Error(`There is no dynamic import in ${folder}: has the bundler changed its form?`);
  }
}

if (import.meta.main) {
  const [folder, ...excess] = Deno.args;
  if (folder === undefined || excess.length > 0) {
    throw new Error("Usage: deno run -A build/bundle.ts <folder of the bundle>");
  }
  try {
    await bundle(folder, stopSignal());
  } catch (error) {
    if (!(error instanceof StoppedError)) throw error;
    Deno.exit(error.exitCode);
  }
}
