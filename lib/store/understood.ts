/** Rows that this version can't understand: alone they are an error, in a list they are left out with a warning. */

import { AppError } from "../errors.ts";
import type { Row } from "./database.ts";
import type { Parsed } from "./rows.ts";

export interface Understanding {
  /** @throws AppError for a row that can't be understood. */
  one<T>(name: string, parsed: Parsed<T>): T;
  /** Warns once of each that is left out. */
  all<R, T>(rows: readonly R[], parse: (row: R) => Parsed<T>, name: (row: R) => string): T[];
}

/** @param path of the registry, for people. */
export function understanding(path: string, warn: (text: string) => void): Understanding {
  const warned = new Set<string>();
  const warnOnce = (text: string) => {
    if (warned.has(text)) return;
    warned.add(text);
    warn(text);
  };
  return {
    one(name, parsed) {
      if (parsed.ok) return parsed.value;
      throw new AppError(
        "failure",
        `Cannot read session ${name} in the registry "${path}": ${parsed.reason}. ` +
          `It may belong to a newer version: upgrade dev-sessions`,
      );
    },
    all: (rows, parse, name) =>
      rows.flatMap((row) => {
        const parsed = parse(row);
        if (parsed.ok) return [parsed.value];
        warnOnce(`ignoring session ${name(row)} in ${path}: ${parsed.reason}`);
        return [];
      }),
  };
}

/** For people. */
export function nameOf(row: Row): string {
  return JSON.stringify(row["id"]);
}
