// One number that the parts of the view share.

/**
 * How long what the node knew is kept after the API server went back in time (restored from a backup, or empty): nothing that
 * runs is taken down because a server has forgotten it. Long enough for a person to restore what is missing; what is then still
 * missing is gone.
 */
export const REWIND_HOLD_MS = 300_000
