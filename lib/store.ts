/** The registry: sessions, deliveries and keyed results of this user, shared by every process that opens it. */

import { isOnNetworkFileSystem } from "./store/network_file_system.ts";
import type { Paths } from "./paths.ts";
import { Database } from "./store/database.ts";
import { importLegacyRegistry } from "./store/import.ts";
import { type KeyStore, keyStore } from "./store/keys.ts";
import { type Migration, MIGRATIONS, prepareSchema } from "./store/schema.ts";
import { type SendStore, sendStore } from "./store/sends.ts";
import { type RemoteStore, remoteStore } from "./store/remotes.ts";
import { type RevivalStore, revivalStore } from "./store/revival.ts";
import { type SessionStore, sessionStore } from "./store/sessions.ts";
import { type TokenStore, tokenStore } from "./store/tokens.ts";
import { type UpkeepStore, upkeepStore } from "./store/upkeep.ts";

export type { KeyClaim, KeyRef } from "./store/keys.ts";

export type Store =
  & SessionStore
  & RevivalStore
  & SendStore
  & KeyStore
  & UpkeepStore
  & TokenStore
  & RemoteStore
  & {
    /** Another one after anything was written, by another process or through this store. */
    version(): string;
    /** Must be called once nothing uses the store any more. */
    close(): void;
  };

export interface StoreOptions {
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  readonly randomUuid: () => string;
  /** One complete line for stderr, without a line end. */
  readonly warn: (line: string) => void;
  /** A number in [0, 1). */
  readonly random?: () => number;
  /** How long to wait for another process that is writing. */
  readonly busyTimeoutMs?: number;
  /** Whether WAL can't be relied on in that folder; asked only while the registry is being created. */
  readonly isOnNetworkFileSystem?: (folder: string) => boolean;
  readonly migrations?: readonly Migration[];
}

/**
 * Opens the registry, creates it where there is none and imports the sessions of 0.4.4 once.
 * @throws AppError when it is damaged, can't be reached or belongs to a newer version; it is left untouched then.
 */
export function openStore(
  paths: Pick<Paths, "state" | "database" | "legacyRegistry">,
  options: StoreOptions,
): Store {
  const now = () => new Date(options.now()).toISOString();
  const warn = (text: string) => options.warn(`[dev-sessions] ${text}`);
  const { randomUuid, random = Math.random } = options;
  const database = new Database(
    paths.state,
    paths.database,
    options.busyTimeoutMs === undefined ? {} : { busyTimeoutMs: options.busyTimeoutMs },
  );
  try {
    prepareSchema(
      database,
      () => {
        const shared = (options.isOnNetworkFileSystem ?? isOnNetworkFileSystem)(paths.state);
        if (!shared) database.useWriteAheadLog();
      },
      options.migrations ?? MIGRATIONS,
    );
    importLegacyRegistry(database, { file: paths.legacyRegistry, now, randomUuid, warn });
    const sessions = sessionStore(database, { now, random, randomUuid, warn });
    return {
      ...sessions,
      ...revivalStore(database, sessions.find),
      ...upkeepStore(database, { now: options.now, randomUuid }),
      ...sendStore(database),
      ...keyStore(database, { now, randomUuid }),
      ...tokenStore(database),
      ...remoteStore(database, { now, random, randomUuid, warn }),
      version: () => {
        const others = database.get("PRAGMA data_version")?.["data_version"];
        return `${others} ${database.get("SELECT total_changes() AS own")?.["own"]}`;
      },
      close: () => database.close(),
    };
  } catch (error) {
    database.close();
    throw error;
  }
}
