// An answer that trickles: the same bytes, at a rate.
import type { ServerResponse } from 'node:http'

const TICK_MS = 50

/** Send an answer at `rate` KiB a second. To be called before anything was written. */
export function slowAnswer(response: ServerResponse, rate: number): void {
  const write = response.write.bind(response)
  const end = response.end.bind(response)
  const portion = Math.max(1, Math.round((rate * 1024 * TICK_MS) / 1000))
  let waiting = Buffer.alloc(0)
  let ending = false
  const timer = setInterval(() => {
    if (waiting.length > 0) write(waiting.subarray(0, portion))
    waiting = waiting.subarray(portion)
    if (waiting.length > 0) return
    if (ending) {
      clearInterval(timer)
      end()
    } else response.emit('drain')
  }, TICK_MS)
  response.once('close', () => clearInterval(timer))
  const take = (chunk: unknown): void => {
    waiting = Buffer.concat([waiting, Buffer.isBuffer(chunk) ? chunk : Buffer.from(String(chunk))])
  }
  response.write = ((chunk: unknown) => {
    take(chunk)
    return false
  }) as ServerResponse['write']
  response.end = ((chunk?: unknown) => {
    if (chunk !== undefined) take(chunk)
    ending = true
    return response
  }) as ServerResponse['end']
}
