/** Times processes: the runs of several commands take turns, so that a busy machine slows all of them alike. */

import { join } from "node:path";

export const CHECKOUT = join(import.meta.dirname ?? "", "..");
export const BUNDLE = join(CHECKOUT, "dist", "main.js");
const EMPTY = join(CHECKOUT, "bench", "empty.js");
const WARM_UP_RUNS = 3;
const GNU_TIME = "/usr/bin/time";

/** One line of the table. */
export interface Figure {
  readonly what: string;
  /** Median of the samples. */
  readonly value: number;
  /** `/s` is a rate: more is better. */
  readonly unit: "ms" | "MB" | "s" | "/s" | "";
  /** Null: a figure for comparison. */
  readonly goal: number | null;
  /** Smallest sample and ninth decile; null where there is but one sample. */
  readonly spread: readonly [best: number, p90: number] | null;
  readonly n: number;
}

export interface Program {
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string;
}

/** @param fraction 0.5 is the median. */
export function quantile(samples: readonly number[], fraction: number): number {
  const sorted = samples.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * fraction))] ?? NaN;
}

export function spreadOf(samples: readonly number[]): readonly [best: number, p90: number] {
  return [Math.min(...samples), quantile(samples, 0.9)];
}

export function figure(what: string, samples: readonly number[], goal: number | null = null): Figure {
  return {
    what,
    value: quantile(samples, 0.5),
    unit: "ms",
    goal,
    spread: spreadOf(samples),
    n: samples.length,
  };
}

/** A command of the bundle, as a script runs it. */
export function cli(args: readonly string[], env: Program["env"], cwd: string): Program {
  return { args: ["run", "-A", BUNDLE, ...args], env, cwd };
}

export function emptyProgram(env: Program["env"], cwd: string): Program {
  return { args: ["run", "-A", EMPTY], env, cwd };
}

/** @throws Error with what it printed, unless its exit code is 0. */
export async function output({ args, env, cwd }: Program): Promise<string> {
  const result = await new Deno.Command(Deno.execPath(), {
    args: [...args],
    env: { ...env },
    clearEnv: true,
    cwd,
    stdin: "null",
  }).output();
  const decoder = new TextDecoder();
  if (result.success) return decoder.decode(result.stdout);
  throw new Error(`${args.join(" ")} ended with ${result.code}: ${decoder.decode(result.stderr)}`);
}

/** Milliseconds from spawn to exit. @throws Error unless its exit code is 0. */
export async function time({ args, env, cwd }: Program): Promise<number> {
  const command = new Deno.Command(Deno.execPath(), {
    args: [...args],
    env: { ...env },
    clearEnv: true,
    cwd,
    stdin: "null",
    stdout: "null",
    stderr: "null",
  });
  const begin = performance.now();
  const { code } = await command.spawn().status;
  const ms = performance.now() - begin;
  if (code !== 0) throw new Error(`${args.join(" ")} ended with ${code}`);
  return ms;
}

/** The samples of each program, in turns; warm-up runs are left out. */
export async function timeInTurns(programs: readonly Program[], n: number): Promise<number[][]> {
  const samples: number[][] = programs.map(() => []);
  for (let run = -WARM_UP_RUNS; run < n; run++) {
    for (const [index, program] of programs.entries()) {
      const ms = await time(program);
      if (run >= 0) samples[index]!.push(ms);
    }
  }
  return samples;
}

/** Highest resident set in MB; by GNU time, else read from /proc every few milliseconds until the end. */
export async function peakMegabytes({ args, env, cwd }: Program): Promise<number> {
  const options = { clearEnv: true, env: { ...env }, cwd, stdin: "null", stdout: "null" } as const;
  try {
    const { stderr } = await new Deno.Command(GNU_TIME, {
      ...options,
      args: ["-f", "%M", Deno.execPath(), ...args],
      stderr: "piped",
    }).output();
    return Number(new TextDecoder().decode(stderr).trim().split("\n").at(-1)) / 1024;
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  const child = new Deno.Command(Deno.execPath(), { ...options, args: [...args], stderr: "null" }).spawn();
  const ended = child.status.then(() => "ended" as const);
  let peak = 0;
  for (;;) {
    const status = await Deno.readTextFile(`/proc/${child.pid}/status`).catch(() => "");
    peak = Math.max(peak, Number(/^VmHWM:\s*(\d+)/m.exec(status)?.[1] ?? 0) / 1024);
    const pause = new Promise<"paused">((resolve) => setTimeout(() => resolve("paused"), 2));
    if (await Promise.race([ended, pause]) === "ended") return peak;
  }
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
