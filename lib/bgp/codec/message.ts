// Any message out of its frame.
import { HEADER_BYTES, MAX_MESSAGE_BYTES, MESSAGE_TYPE } from './constants.ts'
import type { Frame } from './framer.ts'
import { decodeNotification, type NotificationMessage } from './notification.ts'
import { decodeOpen, type OpenMessage } from './open.ts'
import { decodeRouteRefresh, type RouteRefreshMessage } from './refresh.ts'
import { decodeUpdate, type UpdateContext, type UpdateMessage } from './update.ts'
import { Writer } from './writer.ts'

export interface KeepaliveMessage {
  readonly type: 'keepalive'
}

export type Message = OpenMessage | UpdateMessage | NotificationMessage | KeepaliveMessage | RouteRefreshMessage

const KEEPALIVE: KeepaliveMessage = { type: 'keepalive' }

/**
 * @param context what the session negotiated, for UPDATE messages
 * @throws SessionError what to end the session with
 */
export function decodeMessage({ type, body }: Frame, context: UpdateContext): Message {
  switch (type) {
    case MESSAGE_TYPE.open:
      return decodeOpen(body)
    case MESSAGE_TYPE.update:
      return decodeUpdate(body, context)
    case MESSAGE_TYPE.notification:
      return decodeNotification(body)
    case MESSAGE_TYPE.routeRefresh:
      return decodeRouteRefresh(body)
    default:
      if (type !== MESSAGE_TYPE.keepalive || body.length > 0) {
        throw new RangeError(
          `a frame of type ${type} with ${body.length + HEADER_BYTES} bytes did not come from the framer`,
        )
      }
      return KEEPALIVE
  }
}

/** Equal for all; not to be written to. */
export const KEEPALIVE_BYTES: Buffer = new Writer(MAX_MESSAGE_BYTES).message(MESSAGE_TYPE.keepalive)
