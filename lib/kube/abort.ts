// Abort signals that live as long as a component and that any number of concurrent calls listen to.
import { setMaxListeners } from 'node:events'

/**
 * An AbortController whose signal may have any number of listeners. Node warns of a leak at eleven listeners on one
 * signal, which is what eleven concurrent requests look like.
 */
export function longLivedAbort(): AbortController {
  const controller = new AbortController()
  setMaxListeners(0, controller.signal)
  return controller
}
