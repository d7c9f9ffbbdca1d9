/** Sessions that live on other hosts, as the registry of this one knows them. Pure. */

import type { GroupMember } from "./groups.ts";
import type { CreateRequest } from "./service.ts";
import type { ProcessIdentity, Session, SessionSummary } from "./session.ts";

/** The session itself is on its host; all but the names are what was last heard of it. */
export interface RemoteSession extends
  Pick<
    Session,
    | "id"
    | "agent"
    | "mode"
    | "path"
    | "description"
    | "model"
    | "lifecycle"
    | "createdAt"
    | "lastUsedAt"
    | "endedAt"
    | "endReason"
    | "parent"
    | "group"
    | "agentSessionId"
    | "legacy"
  > {
  /** Random; names this row. */
  readonly token: string;
  /** For ssh. */
  readonly host: string;
  /** Command that starts dev-sessions there, as a shell reads it; null: the usual one. */
  readonly remoteBin: string | null;
  /** `Session.token` there, so that another session that came to the same id is not taken for it; null: not known yet. */
  readonly remoteToken: string | null;
  /**
   * Id of the registry there that it is in: that another one does not know it says nothing of it. Null: not known yet, or
   * its host does not say.
   */
  readonly remoteRegistry: string | null;
  /** The `create` process. */
  readonly creator: ProcessIdentity | null;
  /** What its host was, or is to be, asked for, with the key that finds out whether it was carried out. */
  readonly request: CreateRequest | null;
}

/** The place of a session, for those that are shown beside sessions of this machine. */
export function asSummary(row: RemoteSession): SessionSummary {
  const { host, remoteBin: _bin, remoteToken: _token, remoteRegistry: _registry, ...more } = row;
  const { creator: _creator, request: _request, ...shown } = more;
  return { ...shown, host };
}

export function asMember({ id, parent, createdAt, group, lifecycle, endedAt }: RemoteSession): GroupMember {
  return { id, parent, createdAt, group, lifecycle, endedAt };
}

/** What its host says of it, with what only this registry knows. */
export function fromHost(session: Session, row: RemoteSession): Session {
  const { id, host, parent, group, legacy } = row;
  return { ...session, id, host, parent, group: session.group ?? group, legacy: session.legacy ?? legacy };
}

/** Whether the registry that its host has now is another one than it is in, as far as both are known. */
export function isElsewhereThere({ remoteRegistry }: RemoteSession, registry: string | null): boolean {
  return remoteRegistry !== null && registry !== null && remoteRegistry !== registry;
}

/** Whether a session of its host is this one. One that 0.4.4 made is known by its agent's id. */
export function isSameSession(row: RemoteSession, found: Pick<Session, "token" | "agentSessionId">): boolean {
  if (row.remoteToken !== null) return found.token === row.remoteToken;
  return row.agentSessionId === null || found.agentSessionId === null ||
    found.agentSessionId === row.agentSessionId;
}
