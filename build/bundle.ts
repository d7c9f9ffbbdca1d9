/**
 * Builds the bundle: a folder of modules that Deno runs as it is, each read when it is reached and not before.
 * `deno run -A build/bundle.ts <folder>` makes the folder anew.
 */

import { type ManualChunkMeta, rollup } from "rollup";
import { type BundledModule, layersOf } from "./layers.ts";
import { StoppedError, stopSignal } from "./stop_signal.ts";

const CHECKOUT = decodeURIComponent(new URL("..", import.meta.url).pathname);
const ENTRY = "main.js";
/** How Deno's bundler says whose code follows. */
const SOURCE = /^\/\/ (\S+\.ts)$/gm;

/**
 * Makes `folder` anew; its `main.js` is the program. Not minified: the minifier of Deno 2.9.6 (esbuild 0.25.5) turns
 * `using lock = await f(); return lock === null ? a : b` into `return (await f()) === null ? a : b`, which never frees
 * the lock. That costs less than a millisecond at the start.
 *
 * @throws Error when a bundler fails, or the reason of an abort, which ends it.
 */
export async function bundle(folder: string, signal: AbortSignal | null = null): Promise<void> {
  await Deno.remove(folder, { recursive: true }).catch((error) => {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  });
  const pieces = await Deno.realPath(await Deno.makeTempDir({ prefix: "dev-sessions-bundle-" }));
  try {
    await takeApart(pieces, signal);
    await putTogether(pieces, folder);
    signal?.throwIfAborted();
    await makeImportsLazy(folder);
  } finally {
    await Deno.remove(pieces, { recursive: true });
  }
}

/** JavaScript, in as many pieces as there are ways to reach one, some hundreds of them. */
async function takeApart(pieces: string, signal: AbortSignal | null): Promise<void> {
  const { code } = await new Deno.Command(Deno.execPath(), {
    args: ["bundle", "--quiet", "--code-splitting", "--outdir", pieces, "main.ts"],
    cwd: CHECKOUT,
    stdin: "null",
    stdout: "inherit",
    stderr: "inherit",
    ...(signal === null ? {} : { signal }),
  }).spawn().status;
  signal?.throwIfAborted();
  if (code !== 0) throw new Error(`Cannot build the bundle: deno bundle ended with exit code ${code}`);
}

/** Pieces that are reached together become one. */
async function putTogether(pieces: string, folder: string): Promise<void> {
  const entry = `${pieces}/${ENTRY}`;
  const bundle = await rollup({
    input: entry,
    external: /^node:/,
    treeshake: false,
    onwarn: (warning) => {
      throw new Error(`Cannot build the bundle: ${warning.message}`);
    },
  });
  let layers: Map<string, string> | null = null;
  try {
    await bundle.write({
      dir: folder,
      format: "es",
      chunkFileNames: "[name]-[hash].js",
      hoistTransitiveImports: false,
      manualChunks: (id, meta) => (layers ??= layersOf(modulesOf(meta), entry)).get(id),
    });
  } finally {
    await bundle.close();
  }
}

function modulesOf({ getModuleIds, getModuleInfo }: ManualChunkMeta): BundledModule[] {
  return [...getModuleIds()].flatMap((id) => {
    const info = getModuleInfo(id);
    if (info === null || info.isExternal) return [];
    const { code, ast, importedIds: imports } = info;
    if (code === null || ast === null) throw new Error(`Cannot build the bundle: ${id} was not read`);
    return {
      id,
      sources: [...code.matchAll(SOURCE)].map(([, source]) => source!),
      imports: imports.filter((one) => !one.startsWith("node:")),
      isFacade: ast.body.every((statement) =>
        statement.type === "ImportDeclaration" ||
        (statement.type === "ExportNamedDeclaration" && !statement.declaration)
      ),
    };
  });
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
    const lazy = text.replace(/\bimport\((['"]\.\/[\w.-]+\.js['"])\)/g, (_, file: string) => {
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
