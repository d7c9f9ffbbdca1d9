/** Makes sessions of what a call names, `@group` included, and reads from each of them without one stopping the others. */

import { AppError } from "../errors.ts";
import type { GroupAction, Target } from "../groups.ts";
import type { SessionService } from "../service.ts";
import type { SessionId } from "../session.ts";
import type { Result } from "./output.ts";
import type { CliContext } from "./verb.ts";

export type GroupTarget = Extract<Target, { kind: "group" }>;

export interface Meant {
  /** Each once. */
  readonly ids: readonly SessionId[];
  /** Lines for stderr: who was left out. */
  readonly notes: readonly string[];
}

/** Whether a group is named: then there is a line per session, however many there are. */
export function namesGroup(targets: readonly Target[]): boolean {
  return targets.some(({ kind }) => kind === "group");
}

/** The ids that are named as such. */
export function namedIds(targets: readonly Target[]): SessionId[] {
  return [...new Set(targets.flatMap((target) => target.kind === "session" ? [target.id] : []))];
}

/**
 * @param caller the session whose agent runs this command, if any.
 * @throws AppError (not_found) for a group without sessions.
 */
export async function sessionsOf(
  targets: readonly Target[],
  action: GroupAction,
  caller: SessionId | null,
  context: CliContext,
): Promise<Meant> {
  if (!namesGroup(targets)) return { ids: namedIds(targets), notes: [] };
  const { ids, leftOut } = await (await context.service()).expand({ targets, action, caller });
  return { ids, notes: leftOut.map(({ id, why }) => `Left out ${id}: ${why}`) };
}

/** What there is to print of one session of several. */
export interface Reading {
  /** Null prints nothing. */
  readonly text: string | null;
  readonly json: unknown;
}

/** Reads of each session of a group; with `--json`, one array. What can't be read of one is said after the others. */
export async function* readEach(
  target: GroupTarget,
  context: CliContext,
  options: {
    readonly read: (id: SessionId, service: SessionService) => Promise<Reading>;
    readonly separator: string;
    readonly layout: "indented" | "compact";
  },
): AsyncIterable<Result> {
  const { ids, notes } = await sessionsOf([target], "read", null, context);
  const service = await context.service();
  const readings: Reading[] = [];
  const failures: AppError[] = [];
  for (const id of ids) {
    try {
      readings.push(await options.read(id, service));
    } catch (error) {
      if (!(error instanceof AppError)) throw error;
      failures.push(error);
    }
  }
  const texts = readings.map(({ text }) => text).filter((text) => text !== null);
  yield {
    notes,
    text: texts.length === 0 ? null : texts.join(options.separator),
    json: readings.map(({ json }) => json),
    layout: options.layout,
  };
  for (const failure of failures) yield { failure };
}

/** Stands above what is printed of one session of several. */
export function heading(id: SessionId): string {
  return `==> ${id} <==`;
}
