/** A container engine of a test's own, with one image that has the host's programs; nothing is left of it afterwards. */

import { join } from "node:path";

const SCRIPT = join(import.meta.dirname ?? "", "docker_engine.sh");
const PROGRAMS = ["dockerd", "containerd", "runc", "docker", "ip"];
const COMMAND_TIMEOUT_MS = 60_000;

/** The image of `startEngine`; its containers need the arguments of `HOST_PROGRAMS`. */
export const IMAGE = "dev-sessions-test/host-programs:1";
/** For `docker create` and `docker run`: the host's programs, read-only. */
export const HOST_PROGRAMS = ["--volume", "/usr:/usr:ro"] as const;

/** Why no engine can be started here; null when one can. */
export function missingForEngine(): string | null {
  if (Deno.build.os !== "linux") return "it needs Linux";
  if (Deno.uid() !== 0) return "it needs root";
  const folders = (Deno.env.get("PATH") ?? "").split(":").concat("/usr/sbin", "/sbin");
  const missing = PROGRAMS.filter((name) => !folders.some((folder) => isFile(`${folder}/${name}`)));
  return missing.length === 0 ? null : `it needs ${missing.join(", ")} (apt-get install docker.io iproute2)`;
}

/** Of tests that need an engine; says why when they are skipped. */
export function engineTest(name: string, run: (t: Deno.TestContext) => Promise<void>): void {
  const missing = missingForEngine();
  if (missing !== null) {
    Deno.stderr.writeSync(new TextEncoder().encode(`[tests/hosts] skipped: "${name}": ${missing}\n`));
  }
  Deno.test({ name, ignore: missing !== null, fn: run });
}

export class DockerEngine implements AsyncDisposable {
  /** Use `startEngine()`. */
  constructor(
    readonly folder: string,
    /** For `DOCKER_HOST`. */
    readonly host: string,
    /** The address of this machine, as containers see it. */
    readonly gateway: string,
  ) {}

  /** Runs `docker` with this engine; its output. @throws Error with what it says when it fails. */
  async docker(...args: readonly string[]): Promise<string> {
    return await run("docker", args, { DOCKER_HOST: this.host });
  }

  /** Ids of all containers, also of those that have ended. */
  async containers(): Promise<string[]> {
    return (await this.docker("ps", "--all", "--quiet", "--no-trunc")).split("\n").filter((id) => id !== "");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await run("/bin/bash", [SCRIPT, "stop", this.folder]);
  }
}

export async function startEngine(): Promise<DockerEngine> {
  // Short, because a unix socket's path may have 107 bytes only.
  const folder = await Deno.makeTempDir({ dir: "/tmp", prefix: "dsE" });
  const started = await run("/bin/bash", [SCRIPT, "start", folder, String(Deno.pid)]);
  const value = (name: string) => new RegExp(`^${name}=(.+)$`, "m").exec(started)?.[1] ?? "";
  const engine = new DockerEngine(folder, value("host"), value("gateway"));
  try {
    await run("/bin/bash", [SCRIPT, "image", folder, IMAGE], { DOCKER_HOST: engine.host });
    return engine;
  } catch (error) {
    await engine[Symbol.asyncDispose]();
    throw error;
  }
}

async function run(
  program: string,
  args: readonly string[],
  env: Record<string, string> = {},
): Promise<string> {
  const child = new Deno.Command(program, {
    args: [...args],
    env: { PATH: `${Deno.env.get("PATH")}:/usr/sbin:/sbin`, ...env },
    signal: AbortSignal.timeout(COMMAND_TIMEOUT_MS),
  });
  const { code, stdout, stderr } = await child.output();
  const decoder = new TextDecoder();
  if (code === 0) return decoder.decode(stdout);
  throw new Error(`${program} ${args.join(" ")} ended with ${code}: ${decoder.decode(stderr)}`);
}

function isFile(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false;
  }
}
