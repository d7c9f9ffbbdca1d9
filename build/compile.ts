/**
 * Builds the executables: the bundle and nothing else in `dev-sessions-<target>`, with `SHA256SUMS` beside them. Each
 * is inspected, and run where it can be, before it gets its name; a failure leaves what was there.
 */

import { VERSION } from "../lib/version.ts";
import { faultsOf, inspect } from "./inspect.ts";
import { StoppedError, stopSignal } from "./stop_signal.ts";

export const TARGETS = [
  "x86_64-unknown-linux-gnu",
  "aarch64-unknown-linux-gnu",
  "x86_64-apple-darwin",
  "aarch64-apple-darwin",
] as const;
export type Target = typeof TARGETS[number];

/** Exit code where the runtime can't be had; that of sysexits.h's EX_UNAVAILABLE. */
const UNAVAILABLE_EXIT_CODE = 69;
/** Of the bundle, beside its deno.json. */
const FOLDER = "dist";
const SUMS = "SHA256SUMS";
/** Of an executable: enough to know its platform. */
const HEADER_BYTES = 20;
const RUN_TIMEOUT_MS = 30_000;
const RUNTIME_NAME = "DENORT_BIN";
const RUNTIME_SERVER = "https://dl.deno.land";
/** How long that server, or a proxy, may take to answer. `deno compile` itself would wait for it for ever. */
export const ANSWER_TIMEOUT_MS = 15_000;
/** Another limit, for tests. */
const ANSWER_TIMEOUT_NAME = "DEV_SESSIONS_TEST_ANSWER_MS";

/** `stand_in`: it starts Deno itself, and shows what would be embedded; `not_run`: it is for another platform. */
export type Proof = "runs" | "not_run" | "stand_in";
export interface Product {
  readonly target: Target;
  readonly path: string;
  readonly proof: Proof;
}
export interface CompileOptions {
  /** Null: all, or the one that `runtime` is for. */
  readonly targets: readonly Target[] | null;
  /** The folder of the bundle. */
  readonly bundle: string;
  /** Made when it is missing. */
  readonly output: string;
  /** A denort to use instead of a download; it is for one platform. */
  readonly runtime: string | null;
  /** How long the server of runtimes may take to answer. */
  readonly answerTimeoutMs: number;
  /** Accept Deno itself as runtime; the product is named `stand-in-<target>`, and has no checksum. */
  readonly standIn: boolean;
}

/** There is no runtime for compiled programs here; the message says what to do. */
export class RuntimeUnavailableError extends Error {
  override readonly name = "RuntimeUnavailableError";
}

/**
 * An abort ends what runs for it.
 * @throws RuntimeUnavailableError, the reason of an abort, or Error when the build or its inspection fails.
 */
export async function compile(
  options: CompileOptions,
  signal: AbortSignal = new AbortController().signal,
): Promise<Product[]> {
  const targets = await targetsOf(options);
  await Deno.mkdir(options.output, { recursive: true });
  const output = await Deno.realPath(options.output);
  const partial = await Deno.makeTempDir({ dir: output, prefix: ".partial-" });
  const [source, staging] = [`${partial}/source`, `${partial}/products`];
  try {
    await Deno.mkdir(staging);
    await furnish(source, options.bundle);
    const products: Product[] = [];
    for (const target of targets) {
      products.push(await compileOne(target, staging, source, options, signal));
    }
    if (!options.standIn) {
      const lines = await Promise.all(
        products.map(async ({ path }) => `${await sha256(path)}  ${nameOf(path)}\n`),
      );
      await Deno.writeTextFile(`${staging}/${SUMS}`, lines.join(""));
    }
    signal.throwIfAborted();
    for await (const { name } of Deno.readDir(staging)) {
      await Deno.rename(`${staging}/${name}`, `${output}/${name}`);
    }
    return products.map((product) => ({ ...product, path: `${output}/${nameOf(product.path)}` }));
  } finally {
    await Deno.remove(partial, { recursive: true });
  }
}

/** Alone with the version: what Deno finds around a bundle (imports, paths, packages) would go into the executable. */
async function furnish(source: string, bundle: string): Promise<void> {
  await Deno.mkdir(`${source}/${FOLDER}`, { recursive: true });
  await Deno.writeTextFile(`${source}/deno.json`, JSON.stringify({ version: VERSION }));
  for await (const { name } of Deno.readDir(bundle)) {
    await Deno.copyFile(`${bundle}/${name}`, `${source}/${FOLDER}/${name}`);
  }
}

async function targetsOf({ targets, runtime }: CompileOptions): Promise<readonly Target[]> {
  if (runtime === null) return targets ?? TARGETS;
  const platform = platformOf(await firstBytes(runtime));
  if (platform === null) {
    throw new Error(
      `Cannot compile with ${RUNTIME_NAME}=${runtime}: it is no executable for ${TARGETS.join(", ")}`,
    );
  }
  if (targets === null) return [platform];
  if (targets.length === 1 && targets[0] === platform) return targets;
  throw new Error(
    `Cannot compile with ${RUNTIME_NAME}=${runtime} for ${
      targets.join(", ")
    }: it is for ${platform} alone. ` +
      `Name it with --target ${platform}, or unset ${RUNTIME_NAME} to download the runtimes`,
  );
}

/** For which target an executable is, by its header; null for every other file. Pure. */
export function platformOf(header: Uint8Array): Target | null {
  const view = new DataView(header.buffer, header.byteOffset, header.byteLength);
  if (view.byteLength < HEADER_BYTES) return null;
  // ELF, 64 bits, little-endian; e_machine.
  if (view.getUint32(0) === 0x7f454c46 && view.getUint16(4) === 0x0201) {
    const machine = view.getUint16(18, true);
    return machine === 62 ? "x86_64-unknown-linux-gnu" : machine === 183 ? "aarch64-unknown-linux-gnu" : null;
  }
  // Mach-O, 64 bits; cputype.
  if (view.getUint32(0, true) === 0xfeedfacf) {
    const cpu = view.getUint32(4, true);
    return cpu === 0x01000007 ? "x86_64-apple-darwin" : cpu === 0x0100000c ? "aarch64-apple-darwin" : null;
  }
  return null;
}

async function firstBytes(path: string): Promise<Uint8Array> {
  const found = await Deno.stat(path).catch(() => null);
  if (!found?.isFile) throw new Error(`Cannot compile with ${RUNTIME_NAME}=${path}: there is no such file`);
  using file = await Deno.open(path);
  const header = new Uint8Array(HEADER_BYTES);
  return header.subarray(0, await file.read(header) ?? 0);
}

async function compileOne(
  target: Target,
  output: string,
  source: string,
  options: CompileOptions,
  signal: AbortSignal,
): Promise<Product> {
  if (options.runtime === null) await awaitServer(target, options.answerTimeoutMs, signal);
  const path = `${output}/${options.standIn ? "stand-in" : "dev-sessions"}-${target}`;
  // The bundle computes the names of what it imports, so the folder has to be named, too.
  const flags = [
    "--no-code-cache",
    "--no-prompt",
    "-A",
    "--app-name",
    "dev-sessions",
    "--target",
    target,
    "--include",
    FOLDER,
  ];
  const { [RUNTIME_NAME]: _, ...env } = Deno.env.toObject();
  const { code, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["compile", ...flags, "--output", path, `${FOLDER}/main.js`],
    cwd: source,
    clearEnv: true,
    env: { ...env, NO_COLOR: "1", ...(options.runtime === null ? {} : { [RUNTIME_NAME]: options.runtime }) },
    stdin: "null",
    stdout: "null",
    stderr: "piped",
    signal,
  }).output();
  signal.throwIfAborted();
  if (code !== 0) throw failure(target, new TextDecoder().decode(stderr));
  const faults = await faultsOf(await inspect(path), options.bundle, VERSION);
  if (faults.length > 0) throw new Error(`Cannot compile dev-sessions for ${target}: ${faults.join("; ")}`);
  return { target, path, proof: await proofOf(path, target, options, signal) };
}

/**
 * Returns once a download can begin, or when there is none to make; how long it then takes is left open.
 * @throws RuntimeUnavailableError when the server does not answer in time.
 */
async function awaitServer(target: Target, timeoutMs: number, signal: AbortSignal): Promise<void> {
  const file = `release/v${Deno.version.deno}/denort-${target}.zip`;
  if (await isFile(`${await denoFolder()}/dl/${file}`)) return;
  const limit = AbortSignal.timeout(timeoutMs);
  try {
    const init = { method: "HEAD", signal: AbortSignal.any([signal, limit]) };
    await (await fetch(`${RUNTIME_SERVER}/${file}`, init)).body?.cancel();
  } catch {
    signal.throwIfAborted();
    if (limit.aborted) {
      throw unavailable(target, `${RUNTIME_SERVER} has not answered within ${timeoutMs / 1000} s`);
    }
    // What fails at once fails in `deno compile`, too, which has words for it.
  }
}

/** Where Deno keeps what it downloads. */
async function denoFolder(): Promise<string> {
  const args = ["info", "--json", "--no-config"];
  const info = new Deno.Command(Deno.execPath(), { args, stdin: "null", stderr: "inherit" });
  const { code, stdout } = await info.output();
  if (code !== 0) throw new Error(`Cannot find Deno's folder: deno info ended with exit code ${code}`);
  return JSON.parse(new TextDecoder().decode(stdout)).denoDir;
}

async function isFile(path: string): Promise<boolean> {
  return await Deno.stat(path).then(({ isFile }) => isFile, () => false);
}

function failure(target: Target, said: string): Error {
  if (!/base binary|dl\.deno\.land/.test(said)) {
    return new Error(`Cannot compile dev-sessions for ${target}: deno compile failed:\n${said.trim()}`);
  }
  return unavailable(target, /error sending request.*/.exec(said)?.[0] ?? said.trim());
}

function unavailable(target: Target, reason: string): RuntimeUnavailableError {
  return new RuntimeUnavailableError(
    `Cannot compile dev-sessions for ${target}: Deno's runtime for compiled programs can't be downloaded. ` +
      `Download denort-${target}.zip of Deno ${Deno.version.deno} where dl.deno.land can be reached, unpack it, and ` +
      `run: ${RUNTIME_NAME}=<path of denort> deno task compile --target ${target}\n${reason}`,
  );
}

async function proofOf(
  path: string,
  target: Target,
  { standIn, runtime }: CompileOptions,
  signal: AbortSignal,
): Promise<Proof> {
  if (target !== Deno.build.target) return "not_run";
  const said = await ask(path, ["--version"], signal);
  if (!said.startsWith("deno ")) {
    // Answered by modules that are read out of the executable when they are reached.
    const answer = await ask(path, ["--version", "--json"], signal);
    if (said === VERSION && isCompiled(answer)) return "runs";
    throw new Error(
      `Cannot compile dev-sessions for ${target}: the product answers --version with: ${said} ${answer}`,
    );
  }
  if (standIn) return "stand_in";
  throw new RuntimeUnavailableError(
    `Cannot compile dev-sessions for ${target}: ${RUNTIME_NAME}=${runtime} is Deno itself, not its runtime for ` +
      `compiled programs, so the product would start Deno. Set ${RUNTIME_NAME} to a denort, or unset it`,
  );
}

/** What it prints; on stderr when it fails. */
async function ask(path: string, args: readonly string[], signal: AbortSignal): Promise<string> {
  const { code, stdout, stderr } = await new Deno.Command(path, {
    args: [...args],
    clearEnv: true,
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
    signal: AbortSignal.any([signal, AbortSignal.timeout(RUN_TIMEOUT_MS)]),
  }).output();
  signal.throwIfAborted();
  return new TextDecoder().decode(code === 0 ? stdout : stderr).trim();
}

function isCompiled(answer: string): boolean {
  try {
    const { version, build } = JSON.parse(answer);
    return version === VERSION && build === "compiled";
  } catch {
    return false;
  }
}

async function sha256(path: string): Promise<string> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", await Deno.readFile(path))).toHex();
}

function nameOf(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}

/** @throws Error for a call that must be fixed. */
export function parseArguments(
  args: readonly string[],
  env: Readonly<Record<string, string>>,
): CompileOptions {
  const targets: Target[] = [];
  let output = "release";
  let bundle = "dist";
  let standIn = false;
  const rest = args.flatMap((word) => /^--[a-z]+=/.test(word) ? word.split(/=(.*)/s, 2) : [word]);
  for (let word = rest.shift(); word !== undefined; word = rest.shift()) {
    if (word === "--stand-in") {
      standIn = true;
      continue;
    }
    const value = rest.shift();
    if (!["--target", "--output", "--bundle"].includes(word) || value === undefined || value === "") {
      throw new Error("Usage: deno task compile [--target <target>]... [--output <folder>] [--stand-in]");
    }
    if (word === "--output") output = value;
    else if (word === "--bundle") bundle = value;
    else {
      const target = TARGETS.find((known) => known === value);
      if (target === undefined) {
        throw new Error(`Cannot compile for "${value}": it is none of ${TARGETS.join(", ")}`);
      }
      if (!targets.includes(target)) targets.push(target);
    }
  }
  return {
    targets: targets.length === 0 ? null : targets,
    bundle: Deno.realPathSync(bundle),
    output,
    runtime: env[RUNTIME_NAME] || (standIn ? Deno.execPath() : null),
    answerTimeoutMs: Number(env[ANSWER_TIMEOUT_NAME]) || ANSWER_TIMEOUT_MS,
    standIn,
  };
}

/** For people. */
export function sentence({ path, target, proof }: Product): string {
  switch (proof) {
    case "runs":
      return `${path}: runs`;
    case "not_run":
      return `${path}: inspected, but not run, since this is no ${target}`;
    case "stand_in":
      return `${path}: NOT a working dev-sessions, it starts Deno; what is embedded is right`;
  }
}

if (import.meta.main) {
  const encoder = new TextEncoder();
  try {
    const products = await compile(parseArguments(Deno.args, Deno.env.toObject()), stopSignal());
    for (const product of products) await Deno.stdout.write(encoder.encode(`${sentence(product)}\n`));
  } catch (error) {
    if (error instanceof StoppedError) Deno.exit(error.exitCode);
    await Deno.stderr.write(encoder.encode(`${error instanceof Error ? error.message : error}\n`));
    Deno.exit(error instanceof RuntimeUnavailableError ? UNAVAILABLE_EXIT_CODE : 1);
  }
}
