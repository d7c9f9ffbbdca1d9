/**
 * Asks a container engine through its own command line: in bounded time, about containers that carry a session's token
 * alone, and an answer that the engine did not give is `unknown`.
 */

import type { Deps, RunResult } from "../../lib/deps.ts";
import { PLACE_NAMES } from "../../lib/engine_place.ts";
import { AppError } from "../../lib/errors.ts";
import { withoutOuterAgent } from "../outer_agents.ts";
import type { EnginePlace } from "./names.ts";

/** Of a session's container, which is found by the session's token. */
export const TOKEN_LABEL = "dev-sessions.token";
/** Of one that only reads what an ended session has said, see `leftovers.ts`. */
export const READER_LABEL = "dev-sessions.reader";
/**
 * Names the registry by an id that no other one has: several machines may use one engine, and their state folders have
 * the same path. What an earlier version made names the path, and is nobody's.
 */
export const REGISTRY_LABEL = "dev-sessions.registry";

/** A healthy engine answers in 20 to 400 ms. */
const QUESTION_TIMEOUT_MS = 10_000;
/** Making a container copies nothing, but a busy disk takes its time. */
const CREATE_TIMEOUT_MS = 60_000;
/** For the agent to end by itself (Claude: 1.2 s), then it is killed. */
const STOP_PATIENCE_S = 4;
const REMOVE_TIMEOUT_MS = 30_000;
const REMOVE_POLL_MS = 50;
const LOG_LINES = 30;
/** A `docker create` whose caller was killed may still be under way. */
const SECOND_LOOK_MS = 400;

/** `absent`: the engine says that there is none. */
export type ContainerState =
  | { readonly kind: "running"; readonly startedAt: string }
  | { readonly kind: "stopped" }
  | { readonly kind: "absent" }
  | { readonly kind: "unknown" };

export type Label = readonly [name: string, value: string];

export interface LabelledContainer {
  readonly id: string;
  /** Values of our labels; empty where it has none. */
  readonly token: string;
  readonly reader: string;
  readonly running: boolean;
}

/** The environment of the engine's command line: the caller's, but for which engine is meant. Pure. */
export function engineEnvironment(env: Deps["env"], place: EnginePlace): Record<string, string> {
  const others = Object.entries(withoutOuterAgent(env)).filter(([name]) =>
    !PLACE_NAMES.some((known) => known === name)
  );
  return { ...Object.fromEntries(others), ...place };
}

export class Engine {
  constructor(private readonly deps: Deps, readonly place: EnginePlace) {}

  /** The place with the context named that a later `docker context use` would change. */
  async settledPlace(): Promise<EnginePlace> {
    if (this.place["DOCKER_HOST"] !== undefined || this.place["DOCKER_CONTEXT"] !== undefined) {
      return this.place;
    }
    const shown = await this.#run(["context", "show"]);
    const name = shown.kind === "exited" && shown.code === 0 ? shown.stdout.trim() : "";
    return name === "" ? this.place : { ...this.place, DOCKER_CONTEXT: name };
  }

  /** @throws AppError that says whether the command line, the engine or the image is missing. */
  async assertReady(image: string, action: string): Promise<void> {
    const version = await this.#run(["version", "--format", "{{.Server.Version}}"]);
    if (version.kind === "not_found") {
      throw cannot(action, '"docker" was not found on PATH. Install Docker, or use --mode yolo');
    }
    if (version.kind === "timed_out" || version.code !== 0) {
      throw cannot(
        action,
        `the container engine does not answer (${complaint(version)}). Start it; see: docker version`,
      );
    }
    const found = await this.#run(["image", "inspect", "--format", "{{.Id}}", image]);
    if (found.kind === "exited" && found.code === 0) return;
    if (found.kind === "exited" && /No such image/i.test(found.stderr)) {
      throw cannot(
        action,
        `the engine has no image "${image}". Get it with: docker pull ${image}, or build it; ` +
          "which one is used stands in docker.image of ~/.dev-sessions/config.json",
      );
    }
    throw cannot(action, `the engine does not tell of the image "${image}" (${complaint(found)})`);
  }

  /** Whether containers' own root is the user who runs the engine. */
  async isRootless(): Promise<boolean> {
    const info = await this.#run(["info", "--format", "{{json .SecurityOptions}}"]);
    return info.kind === "exited" && info.code === 0 && info.stdout.includes("name=rootless");
  }

  /**
   * Makes a container and returns its id.
   * @param options.env what the arguments may name variables of.
   * @param options.mark a label that the arguments give it.
   * @throws AppError with the engine's words; what may exist then is found by its mark.
   */
  async create(
    args: readonly string[],
    { env, mark, action }: { readonly env: Deps["env"]; readonly mark: Label; readonly action: string },
  ): Promise<string> {
    const made = await this.deps.run("docker", ["create", ...args], {
      env: engineEnvironment(env, this.place),
      timeoutMs: CREATE_TIMEOUT_MS,
    });
    const id = made.kind === "exited" && made.code === 0 ? made.stdout.trim().split("\n").at(-1) ?? "" : "";
    if (!/^[0-9a-f]{64}$/.test(id)) {
      throw cannot(action, `docker does not make its container: ${complaint(made)}`);
    }
    await this.#assertMarked(id, mark, action);
    return id;
  }

  /** A word too many among the user's arguments is taken for the image, and all of ours for its command. */
  async #assertMarked(id: string, [name, value]: Label, action: string): Promise<void> {
    const format = `{{index .Config.Labels "${name}"}}`;
    const found = await this.#run(["container", "inspect", "--format", format, id]);
    if (found.kind === "exited" && found.code === 0 && found.stdout.trim() === value) return;
    await this.removeOne(id);
    if (found.kind !== "exited" || found.code !== 0) {
      throw cannot(action, `docker does not tell of the container that it made: ${complaint(found)}`);
    }
    throw cannot(
      action,
      'docker took a word of "docker.args" in ~/.dev-sessions/config.json for the image, and what follows it for the ' +
        "command. Only options and their values may stand there, and every option that needs a value must have it",
    );
  }

  /** Starts one that was made. @throws AppError with the engine's words. */
  async start(id: string, action: string): Promise<void> {
    const started = await this.#run(["start", id], CREATE_TIMEOUT_MS);
    if (started.kind === "exited" && started.code === 0) return;
    throw cannot(action, `docker does not start its container: ${complaint(started)}`);
  }

  /** What it has said last, for people. */
  async logs(id: string): Promise<string> {
    const said = await this.#run(["logs", "--tail", String(LOG_LINES), id]);
    return said.kind === "exited" && said.code === 0 ? `${said.stdout}${said.stderr}`.trim() : "";
  }

  /** The containers that carry this label. */
  async labelled([name, value]: Label): Promise<LabelledContainer[] | "unknown"> {
    const filter = `label=${name}=${value}`;
    const format = `{{.ID}}\t{{.State}}\t{{.Label "${TOKEN_LABEL}"}}\t{{.Label "${READER_LABEL}"}}`;
    const listed = await this.#run(["ps", "--all", "--no-trunc", "--filter", filter, "--format", format]);
    if (listed.kind !== "exited" || listed.code !== 0) return "unknown";
    return listed.stdout.split("\n").filter((line) => line !== "").map((line) => {
      const [id = "", state = "", token = "", reader = ""] = line.split("\t");
      // Whatever is not proven to rest counts as running.
      return { id, token, reader, running: state !== "created" && state !== "exited" && state !== "dead" };
    });
  }

  /** By id, which no other container ever gets. */
  async state(id: string): Promise<ContainerState> {
    const format = "{{.State.Running}}\t{{.State.StartedAt}}";
    const found = await this.#run(["container", "inspect", "--format", format, id]);
    if (found.kind !== "exited") return { kind: "unknown" };
    if (found.code !== 0) {
      return /No such (container|object)/i.test(found.stderr) ? { kind: "absent" } : { kind: "unknown" };
    }
    const [running, startedAt = ""] = found.stdout.trim().split("\t");
    return running === "true" ? { kind: "running", startedAt } : { kind: "stopped" };
  }

  /** Ends and removes what carries this token; `gone` once the engine says that nothing does. */
  async remove(token: string, options: { readonly lookAgain: boolean }): Promise<"gone" | "unknown"> {
    for (let look = 1;; look++) {
      const found = await this.labelled([TOKEN_LABEL, token]);
      if (found === "unknown") return "unknown";
      for (const { id, running } of found) {
        // So that the agent ends by itself first, which its records then show.
        if (running) await this.#run(["stop", "-t", String(STOP_PATIENCE_S), id], REMOVE_TIMEOUT_MS);
        await this.removeOne(id);
      }
      if (found.length > 0) return await this.#untilGone([TOKEN_LABEL, token]);
      if (!options.lookAgain || look === 2) return "gone";
      await this.deps.clock.sleep(SECOND_LOOK_MS);
    }
  }

  /** With `--rm` the engine removes it by itself, too, and lists it until that is done. */
  async #untilGone(label: Label): Promise<"gone" | "unknown"> {
    const deadline = this.deps.clock.monotonic() + REMOVE_TIMEOUT_MS;
    for (;;) {
      const left = await this.labelled(label);
      if (left === "unknown") return "unknown";
      if (left.length === 0) return "gone";
      if (this.deps.clock.monotonic() >= deadline) return "unknown";
      await this.deps.clock.sleep(REMOVE_POLL_MS);
    }
  }

  /** Removes what carries this label, at once. */
  async removeMarked(label: Label): Promise<"gone" | "unknown"> {
    const found = await this.labelled(label);
    if (found === "unknown") return "unknown";
    for (const { id } of found) await this.removeOne(id);
    return found.length === 0 ? "gone" : await this.#untilGone(label);
  }

  /** By id, at once; whether it is gone then is not told. */
  async removeOne(id: string): Promise<void> {
    await this.#run(["rm", "--force", "--volumes", id], REMOVE_TIMEOUT_MS);
  }

  #run(args: readonly string[], timeoutMs = QUESTION_TIMEOUT_MS): Promise<RunResult> {
    return this.deps.run("docker", args, { env: engineEnvironment(this.deps.env, this.place), timeoutMs });
  }
}

function complaint(result: RunResult): string {
  switch (result.kind) {
    case "not_found":
      return '"docker" was not found on PATH';
    case "timed_out":
      return "no answer in time";
    case "exited": {
      const lines = result.stderr.split("\n").map((line) => line.trim()).filter((line) => line !== "");
      return lines.filter((line) => !line.startsWith("WARNING:") && !line.startsWith("Run 'docker"))
        .join(" ") || `docker ended with code ${result.code}`;
    }
  }
}

function cannot(action: string, why: string): AppError {
  return new AppError("failure", `Cannot ${action}: ${why}`);
}
