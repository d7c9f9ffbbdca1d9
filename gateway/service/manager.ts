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

export interface ServiceManager {
  readonly name: "systemd" | "launchd";
  /** Absolute path of the definition. */
  readonly file: string;
  /** Why services can't be managed here, with the way out; null when they can. */
  lack(): Promise<string | null>;
  define(spec: ServiceSpec): string;
  /** Starts what the definition on disk says, in place of what runs; also at the next login or boot. */
  start(): Promise<void>;
  /** Stops it, and lets it not start again; an absent service is no error. */
  stop(): Promise<void>;
  /** After the definition has been removed. */
  forget(): Promise<void>;
  state(): Promise<ServiceState>;
  /** What the user should know, one sentence each. */
  notes(): Promise<readonly string[]>;
}
