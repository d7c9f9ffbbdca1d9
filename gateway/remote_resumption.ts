/** Brings a session of another host back to life, within this machine's limits. */

import type { Admission } from "../lib/admission.ts";
import { AppError } from "../lib/errors.ts";
import { fromHost } from "../lib/remote_session.ts";
import type { ResumeRequest, ResumeResult } from "../lib/service.ts";
import type { Store } from "../lib/store.ts";
import { CarrierError } from "./carrier.ts";
import type { Reached } from "./elsewhere.ts";

/**
 * It counts as live from before its host is asked until the host says otherwise.
 *
 * @throws AppError (refused) when there is no room here; what its host throws.
 */
export async function resumeElsewhere(
  { row, service }: Reached,
  request: ResumeRequest,
  { store, admission }: { readonly store: Store; readonly admission: Admission },
  signal: AbortSignal,
): Promise<ResumeResult> {
  const counted = await admission.run((admit) => Promise.try(() => store.reviveRemote(row, admit)));
  try {
    const resumed = await service.resume({ ...request, caller: null }, signal);
    const known = store.heardOf(row, resumed.session) ?? row;
    return { ...resumed, session: fromHost(resumed.session, known) };
  } catch (error) {
    if (counted) await settle({ row, service }, store, error);
    throw error;
  }
}

/** After a failure: what its host says of it, or what was there before when that can't have changed. */
async function settle(
  { row, service }: Pick<Reached, "row" | "service">,
  store: Store,
  error: unknown,
): Promise<void> {
  if (error instanceof CarrierError) {
    const end = { at: row.endedAt ?? row.lastUsedAt, reason: row.endReason ?? "ended" };
    if (error.told.unsent) store.endRemote(row, end);
    return;
  }
  try {
    store.heardOf(row, await service.inspect(row.id));
  } catch (failure) {
    // The next command that reaches its host hears of it.
    if (!(failure instanceof AppError)) throw failure;
  }
}
