/** What keeps the registry small and tidy: rows that are forgotten for good, and what is done now and then only. */

import type { Database } from "./database.ts";
import { getMeta, setMeta } from "./schema.ts";
import { deleteRow, type SessionRef } from "./sessions.ts";

/** Tokens whose rows are gone and whose folders may still be there, one in a line. */
const FORGETTING = "forgetting";
const REGISTRY_ID = "registry_id";

export interface UpkeepStore {
  /**
   * Forgets ended sessions, all in one transaction, and remembers their tokens until `forgotten` is told that
   * nothing is left of them outside of the registry. Returns those that it has forgotten: one that lives (again), or is
   * about to, stays.
   */
  forget(refs: readonly SessionRef[]): SessionRef[];
  /** Tokens of forgotten sessions that may have left something, those of killed commands included. */
  leftToForget(): string[];
  forgotten(tokens: readonly string[]): void;
  /** Forgets results by `--key` from before that time (ISO 8601, UTC); never one that is not known yet. */
  forgetKeys(before: string): number;
  /** Of this registry alone, wherever its folder is: made when it is first asked for, and never another one. */
  registryId(): string;
  /** Whether it is time to do something, over all processes: true for one of them in so many milliseconds. */
  isDue(name: string, everyMs: number): boolean;
}

/** @param options.now milliseconds since the epoch. */
export function upkeepStore(
  database: Database,
  { now, randomUuid }: { readonly now: () => number; readonly randomUuid: () => string },
): UpkeepStore {
  function leftToForget(): string[] {
    return (getMeta(database, FORGETTING) ?? "").split("\n").filter((token) => token !== "");
  }

  function forget(refs: readonly SessionRef[]): SessionRef[] {
    return database.mutate(() => {
      const done = refs.filter((ref) => deleteRow(database, ref, "ended"));
      if (done.length === 0) return [];
      const tokens = new Set([...leftToForget(), ...done.map(({ token }) => token)]);
      setMeta(database, FORGETTING, [...tokens].join("\n"));
      return done;
    });
  }

  function forgotten(tokens: readonly string[]): void {
    database.mutate(() => {
      const done = new Set(tokens);
      setMeta(database, FORGETTING, leftToForget().filter((token) => !done.has(token)).join("\n"));
    });
  }

  function registryId(): string {
    const known = () => getMeta(database, REGISTRY_ID);
    return known() ?? database.mutate(() => {
      const theirs = known();
      if (theirs !== null) return theirs;
      const id = randomUuid();
      setMeta(database, REGISTRY_ID, id);
      return id;
    });
  }

  function isDue(name: string, everyMs: number): boolean {
    const key = `last_${name}`;
    const isOld = () => {
      const at = Number(getMeta(database, key) ?? -Infinity);
      // A clock that was set back must not put it off.
      return !(at <= now() && now() - at < everyMs);
    };
    if (!isOld()) return false;
    return database.mutate(() => {
      if (!isOld()) return false;
      setMeta(database, key, String(now()));
      return true;
    });
  }

  return {
    forget,
    leftToForget,
    forgotten,
    forgetKeys: (before) =>
      database.mutate(() =>
        database.run("DELETE FROM keyed WHERE result IS NOT NULL AND created_at < ?", before)
      ),
    registryId,
    isDue,
  };
}
