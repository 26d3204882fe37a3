import {
  decodeMessage,
  Framer,
  IPV4_UNICAST,
  IPV6_UNICAST,
  type Message,
  type UpdateContext,
  type UpdateMessage,
} from '../../../lib/bgp/index.ts'

/** An external session of two speakers of today. */
export const modern: UpdateContext = {
  fourOctetAs: true,
  external: true,
  families: new Set([IPV4_UNICAST, IPV6_UNICAST]),
  extendedNextHop: true,
}

/** All messages in the bytes. */
export function decodeAll(bytes: Buffer, context: UpdateContext = modern, maxBytes = 4096): Message[] {
  const framer = new Framer()
  framer.maxBytes = maxBytes
  framer.push(bytes)
  const messages: Message[] = []
  for (let frame = framer.next(); frame !== null; frame = framer.next()) messages.push(decodeMessage(frame, context))
  if (framer.waiting > 0) throw new Error(`${framer.waiting} bytes are no message`)
  return messages
}

export function decodeUpdates(messages: readonly Buffer[], context: UpdateContext, maxBytes: number): UpdateMessage[] {
  return messages.map((bytes) => {
    const [message] = decodeAll(bytes, context, maxBytes)
    if (message?.type !== 'update') throw new Error(`an UPDATE came out as ${message?.type}`)
    return message
  })
}
