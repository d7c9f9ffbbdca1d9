/** How long a gateway takes to end at most; whoever ends it must let it have that time. */

/** For what is under way when the gateway ends. */
export const DRAIN_MS = 15_000;
/** For that to be rolled back, then. */
export const ROLL_BACK_MS = 10_000;
