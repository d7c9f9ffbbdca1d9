/** The registry and the user's configuration: whole, known to this version, writable. */

import { readConfig } from "../config.ts";
import { messageOf } from "../errors.ts";
import { type FileEvidence, inspectFile, KNOWN_VERSION } from "../store/checkup.ts";
import { type Finding, note, ok, problem, warning, word } from "./finding.ts";
import type { World } from "./world.ts";

export function checkRegistry({ paths }: World): Finding[] {
  return [
    judgeRegistry(inspectFile(paths.database), paths.database, KNOWN_VERSION),
    ...judgeEvents(inspectFile(paths.events), paths.events),
  ];
}

export function checkConfig({ paths }: World): Finding[] {
  try {
    readConfig(paths.config);
    return [];
  } catch (error) {
    return [problem("config", messageOf(error), {
      why: "create and list refuse to go on with it",
      fix: `Correct or remove ${paths.config}`,
    })];
  }
}

/** Pure. */
export function judgeRegistry(found: FileEvidence, path: string, known: number): Finding {
  const check = "registry";
  switch (found.kind) {
    case "missing":
      return ok(check, `no registry yet; the first session makes ${path}`);
    case "unusable":
      return problem(check, found.why, {
        why: "no command can find its sessions",
        fix: [`Move ${path} away with its -wal and -shm files, if it is damaged`, `ls -l ${word(path)}*`],
      });
    case "readable":
      break;
  }
  if (found.damage !== null) {
    return problem(check, `the registry ${path} is damaged: ${found.damage}`, {
      why: "its rows may be lost or wrong",
      fix: [
        "Keep what can be read, then move it away with its -wal and -shm files",
        `sqlite3 ${word(path)} .recover > registry.sql`,
      ],
    });
  }
  if (found.version > known && found.minReader > known) {
    return problem(check, `the registry ${path} belongs to a newer version of dev-sessions`, {
      why: `its schema is ${found.version}, and this version knows ${known}`,
      fix: "Upgrade dev-sessions",
    });
  }
  if (found.version === 0) {
    return problem(check, `${path} is a database of another program`, { fix: "Move it away" });
  }
  if (found.unwritable !== null) {
    return problem(check, `the registry ${path} can't be written: ${found.unwritable}`, {
      why: "create and send record what they do there first",
      fix: ["Make the file and its folder writable for you", `chmod u+w ${word(path)}`],
    });
  }
  if (found.busy) {
    return warning(check, `the registry ${path} is locked by another process`, {
      why: "commands wait for it, up to 30 s",
      fix: ["See who holds it, if this goes on", `fuser -v ${word(path)}`],
    });
  }
  if (found.version !== known) {
    return note(check, `the registry ${path} has schema ${found.version}, this version writes ${known}`, {
      why: found.version > known
        ? "a newer version has made it; both can use it"
        : "the next command extends it",
      fix: found.version > known ? "Upgrade dev-sessions when it suits you" : "Nothing is to be done",
    });
  }
  return ok(check, `the registry ${path} is whole and writable`);
}

/** Pure: only `events` reads it, so that it never keeps the main job from being done. */
export function judgeEvents(found: FileEvidence, path: string): Finding[] {
  const why = found.kind === "unusable"
    ? found.why
    : found.kind === "readable" && found.damage !== null
    ? `${path} is damaged: ${found.damage}`
    : null;
  if (why === null) return [];
  return [warning("events", why, {
    why:
      "the command events can't be used; it reads everything again from the agents' records once this file is gone",
    fix: "Move it away with its -wal and -shm files",
  })];
}
