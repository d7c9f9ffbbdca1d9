/** What a service manager of the system offers for the gateway. */

import { type ServiceSpec, STOP_SECONDS } from "./definition.ts";

/** Of one call of its command, which may wait until a gateway has ended. */
export const CALL_TIMEOUT_MS = (STOP_SECONDS + 15) * 1000;

/** `starting` also between two attempts to start it. */
export type RunState = "running" | "starting" | "stopped" | "failed" | "unknown";

export interface ServiceState {
  readonly state: RunState;
  readonly pid: number | null;
  /** ISO 8601, UTC. */
  readonly since: string | null;
  /** How it ended, for people: `exit 1`, `signal 9`. */
  readonly end: string | null;
}

/** How a service stands beside its definition. */
export interface Standing {
  /** Or is about to. */
  readonly runs: boolean;
  /** At login or boot. */
  readonly startsByItself: boolean;
}

/** Why services can't be managed here. */
export interface Lack {
  /** `absent`: this machine has no such manager; `unreachable`: it may have, but can't be asked from here. */
  readonly kind: "absent" | "unreachable";
  readonly why: string;
  /** How it can be asked; null where there is none. */
  readonly help: string | null;
}

export interface ServiceManager {
  readonly name: "systemd" | "launchd";
  /** Absolute path of the definition, whether it is there or not. */
  place(): Promise<string>;
  /** Null when services can be managed here. */
  lack(): Promise<Lack | null>;
  define(spec: ServiceSpec): string;
  /** Starts what the definition on disk says, in place of what runs; also at the next login or boot. */
  start(signal: AbortSignal): Promise<void>;
  /** Stops it, and lets it not start again; an absent service is no error. @throws AppError when it goes on. */
  stop(): Promise<void>;
  /** After the definition has been removed. */
  forget(): Promise<void>;
  state(): Promise<ServiceState>;
  /** @throws AppError when it can't be told. */
  standing(): Promise<Standing>;
  /** Makes what the definition on disk says stand so; what runs is started anew. */
  restore(standing: Standing): Promise<void>;
  /** Whether something of it is there although its definition is gone. */
  isLeft(): Promise<boolean>;
  /** Removes what would start it, without asking the manager. */
  unlink(): Promise<void>;
  /** What the user should know, one sentence each. */
  notes(): Promise<readonly string[]>;
}
