/**
 * Runs the e2e tests against what users get, and says against what: the compiled executable, or, where Deno's runtime
 * for compiled programs can't be had, the bundle by its launcher, with a look into what would be compiled.
 * `deno task test:binary [--compiled] [test file]...`; `--compiled` fails where nothing can be compiled.
 */

import { bundle } from "./bundle.ts";
import {
  ANSWER_TIMEOUT_MS,
  compile,
  type Product,
  RuntimeUnavailableError,
  type Target,
  TARGETS,
} from "./compile.ts";
import { launcherScript } from "./launcher.ts";

const TESTS = ["tests/e2e"];

/** What the tests will run, and the sentence that says what that is. */
interface Subject {
  readonly executable: string;
  readonly said: string;
}

async function subject(folder: string): Promise<Subject> {
  const dist = `${folder}/dist`;
  await bundle(dist);
  const target = TARGETS.find((known) => known === Deno.build.target);
  if (target === undefined) {
    throw new Error(`Cannot compile for ${Deno.build.target}: it is none of ${TARGETS.join(", ")}`);
  }
  const runtime = Deno.env.get("DENORT_BIN") || null;
  try {
    const { path } = await compiled(target, folder, runtime, false);
    return { executable: path, said: `the compiled executable (${target})` };
  } catch (error) {
    if (!(error instanceof RuntimeUnavailableError) || Deno.args.includes("--compiled")) throw error;
    say(error.message);
  }
  await compiled(target, folder, Deno.execPath(), true);
  say(
    "Compiled with Deno in the place of that runtime: what is embedded is right; the product itself can't be run.",
  );
  const executable = `${folder}/dev-sessions`;
  const script = launcherScript({ executable, deno: Deno.execPath(), main: `${dist}/main.js` });
  await Deno.writeTextFile(executable, script, { mode: 0o755 });
  return { executable, said: "the bundle, run by Deno, and NOT a compiled executable" };
}

async function compiled(
  target: Target,
  folder: string,
  runtime: string | null,
  standIn: boolean,
): Promise<Product> {
  const [product] = await compile({
    targets: [target],
    bundle: `${folder}/dist`,
    output: `${folder}/out`,
    runtime,
    answerTimeoutMs: ANSWER_TIMEOUT_MS,
    standIn,
  });
  if (product === undefined) throw new Error(`Nothing was compiled for ${target}`);
  return product;
}

async function runTests(executable: string): Promise<number> {
  const files = Deno.args.filter((argument) => argument !== "--compiled");
  const tests = new Deno.Command(Deno.execPath(), {
    args: ["test", "-A", "--parallel", ...(files.length === 0 ? TESTS : files)],
    env: { DEV_SESSIONS_TEST_EXECUTABLE: executable },
    stdin: "null",
  }).spawn();
  // What they run must not be removed under them, nor stay when they are ended.
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    Deno.addSignalListener(signal, () => tests.kill("SIGTERM"));
  }
  return (await tests.status).code;
}

function say(text: string): void {
  Deno.stderr.writeSync(new TextEncoder().encode(`${text}\n`));
}

const folder = await Deno.realPath(await Deno.makeTempDir({ prefix: "ds-binary" }));
let code = 1;
try {
  const { executable, said } = await subject(folder);
  say(`Testing ${said}.`);
  code = await runTests(executable);
  say(`These tests ran ${said}.`);
} catch (error) {
  say(error instanceof Error ? error.message : String(error));
} finally {
  await Deno.remove(folder, { recursive: true });
}
Deno.exit(code);
