/** What `@group` stands for in each command. Pure. */

import { AppError, type ErrorCode } from "./errors.ts";
import { ancestorsOf, type Kin } from "./families.ts";
import type { Session, SessionId } from "./session.ts";

/** What stands where a command takes a session. */
export type Target =
  | { readonly kind: "session"; readonly id: SessionId }
  | { readonly kind: "group"; readonly group: string };

export type GroupAction =
  | "send"
  | "wait"
  | "interrupt"
  | "respond"
  | "resume"
  | "attach"
  | "kill"
  /** `kill --tree`: an ended session may have left some that it started. */
  | "kill tree"
  | "read";

export type GroupMember = Kin & Pick<Session, "group" | "lifecycle" | "endedAt">;

export interface ExpandRequest {
  readonly targets: readonly Target[];
  readonly action: GroupAction;
  /** The session whose agent runs this command, if any. */
  readonly caller: SessionId | null;
}

export interface Expanded {
  /** Each once: as given, within a group by creation. */
  readonly ids: readonly SessionId[];
  /** Members of the groups that are not among `ids`, and why in a few words. */
  readonly leftOut: readonly { readonly id: SessionId; readonly why: string }[];
}

interface Rule {
  /** In `Cannot ... "@group"`. */
  readonly cannot: string;
  /** Ended sessions belong to it, too. */
  readonly ended: boolean;
  /** Whom of the caller's family it never means. */
  readonly spares: "nobody" | "caller" | "caller and ancestors";
  /** That all have ended is no error. */
  readonly mayBeNone: boolean;
}

const RULES: Readonly<Record<GroupAction, Rule>> = {
  "send": { cannot: "send to", ended: false, spares: "caller", mayBeNone: false },
  "wait": { cannot: "wait for", ended: false, spares: "caller", mayBeNone: false },
  "interrupt": { cannot: "interrupt", ended: false, spares: "caller and ancestors", mayBeNone: false },
  "respond": { cannot: "respond to", ended: false, spares: "caller and ancestors", mayBeNone: false },
  "resume": { cannot: "resume", ended: true, spares: "nobody", mayBeNone: false },
  "attach": { cannot: "attach to", ended: false, spares: "nobody", mayBeNone: false },
  "kill": { cannot: "kill", ended: false, spares: "caller and ancestors", mayBeNone: true },
  "kill tree": { cannot: "kill", ended: true, spares: "caller and ancestors", mayBeNone: true },
  "read": { cannot: "read", ended: true, spares: "nobody", mayBeNone: false },
};

const IS_CALLER = "it runs this command";
const IS_ANCESTOR = "it is an ancestor of the session that runs this command";
const IS_LIVE = "it is live";
const IS_CREATING = "it is still being created";
const GROUPS_NAMED = 10;
/** Later than every ISO 8601 time. */
const NOT_YET = "~";

/**
 * The sessions that are meant; ids stand for themselves, whether there is such a session or not.
 *
 * @param sessions all that are known, by creation.
 * @throws AppError (not_found) for a group without sessions, and when nothing is left.
 */
export function expandTargets(
  { targets, action, caller }: ExpandRequest,
  sessions: readonly GroupMember[],
): Expanded {
  const rule = RULES[action];
  const spared = sparedBy(rule, caller, sessions);
  const ids = new Set<SessionId>();
  const leftOut = new Map<SessionId, string>();
  for (const target of targets) {
    switch (target.kind) {
      case "session":
        ids.add(target.id);
        break;
      case "group":
        for (const member of membersOf(target.group, rule, sessions)) {
          const why = member.lifecycle === "creating"
            ? IS_CREATING
            : action === "resume" && member.lifecycle === "active"
            ? IS_LIVE
            : spared.get(member.id);
          if (why === undefined) ids.add(member.id);
          else leftOut.set(member.id, why);
        }
        break;
    }
  }
  for (const id of ids) leftOut.delete(id);
  const left = [...leftOut].map(([id, why]) => ({ id, why }));
  if (ids.size === 0 && left.length > 0) throw nothingLeft(targets, rule, left);
  return { ids: [...ids], leftOut: left };
}

/**
 * The sessions of a group that belong together: a session that was created after all before it had ended begins anew.
 *
 * @param members by creation.
 */
export function latestRun<M extends GroupMember>(members: readonly M[]): M[] {
  let run: M[] = [];
  let over = "";
  for (const member of members) {
    if (member.createdAt > over) run = [];
    const ended = member.lifecycle === "ended" ? member.endedAt ?? member.createdAt : NOT_YET;
    over = run.length === 0 || ended > over ? ended : over;
    run.push(member);
  }
  return run;
}

function membersOf(group: string, rule: Rule, sessions: readonly GroupMember[]): GroupMember[] {
  const members = sessions.filter((session) => session.group === group);
  if (members.length === 0) throw unknownGroup(group, rule, sessions);
  if (rule.ended) return latestRun(members);
  const live = members.filter(({ lifecycle }) => lifecycle !== "ended");
  if (live.length > 0 || rule.mayBeNone) return live;
  throw new AppError(
    "not_found",
    `Cannot ${rule.cannot} "@${group}": all of its sessions have ended. ` +
      `See them with: dev-sessions list --all --group ${group}`,
  );
}

function sparedBy(
  rule: Rule,
  caller: SessionId | null,
  sessions: readonly GroupMember[],
): ReadonlyMap<SessionId, string> {
  if (caller === null || rule.spares === "nobody") return new Map();
  const spared = new Map([[caller, IS_CALLER]]);
  if (rule.spares === "caller") return spared;
  const byId = new Map(sessions.map((session) => [session.id, session]));
  const self = byId.get(caller);
  if (self === undefined) return spared;
  for (const { id } of ancestorsOf(self, (id) => byId.get(id) ?? null)) spared.set(id, IS_ANCESTOR);
  return spared;
}

function unknownGroup(group: string, rule: Rule, sessions: readonly GroupMember[]): AppError {
  const known = [...new Set(sessions.map((session) => session.group).filter((name) => name !== null))];
  const names = known.slice(-GROUPS_NAMED).map((name) => `@${name}`).join(", ");
  return new AppError(
    "not_found",
    `Cannot ${rule.cannot} "@${group}": no session is in this group. See the groups with: dev-sessions list --all`,
    known.length === 0 ? null : `There ${known.length === 1 ? "is" : "are"}: ${names}`,
  );
}

function nothingLeft(targets: readonly Target[], rule: Rule, leftOut: Expanded["leftOut"]): AppError {
  const groups = targets.flatMap((target) => target.kind === "group" ? [`"@${target.group}"`] : []);
  const why = leftOut.map(({ id, why }) => `"${id}" is left out: ${why}`).join("; ");
  const code: ErrorCode = leftOut.some((one) => one.why === IS_CREATING) ? "not_delivered" : "not_found";
  return new AppError(
    code,
    `Cannot ${rule.cannot} ${groups.join(", ")}: no other session is left (${why}). See: dev-sessions list`,
  );
}
