// Faults of an answer under way: after so many lines (or bytes) of it, the connection is cut, cut within a line, kept open
// in silence, or told that its version has expired.
import type { ServerResponse } from 'node:http'
import { StatusError } from '../errors.ts'

export interface Break {
  readonly effect: 'cut' | 'half' | 'stall' | 'expire' | 'lose'
  /** Lines of a watch, KiB of anything else. */
  readonly after: number
  readonly watch: boolean
}

/** Change how an answer ends. To be called before anything was written. */
export function breakAnswer(response: ServerResponse, { effect, after, watch }: Break): void {
  const { write, end } = bound(response)
  let left = watch ? after : after * 1024
  let broken = false
  if (effect === 'lose') left = 0

  /** Where in a chunk the answer breaks; -1 for not in it. */
  const breakingPoint = (chunk: Buffer): number => {
    if (!watch) {
      left -= chunk.length
      return left < 0 ? chunk.length + left : -1
    }
    let at = 0
    while (left > 0) {
      const newline = chunk.indexOf(0x0a, at)
      if (newline < 0) return -1
      at = newline + 1
      left--
    }
    // The last line is out; the answer breaks with the next one, or, for silence and expiry, at once.
    return at < chunk.length || effect !== 'half' ? at : -1
  }

  const stop = (chunk: Buffer, at: number): void => {
    broken = true
    const half = effect === 'half' ? at + Math.max(1, Math.floor((lineEnd(chunk, at) - at) / 2)) : at
    const last = chunk.subarray(0, half)
    if (effect === 'stall') {
      if (last.length > 0) write(last)
    } else if (effect === 'expire') {
      const gone = new StatusError(410, 'Expired', 'The resourceVersion for the provided watch is too old.')
      const line = Buffer.from(`${JSON.stringify({ type: 'ERROR', object: gone.body })}\n`)
      end(Buffer.concat([last, line]))
    } else if (last.length > 0) write(last, () => response.destroy())
    else response.destroy()
  }

  const pass = (chunk: unknown): boolean => {
    if (broken) return false
    const bytes = Buffer.isBuffer(chunk) ? chunk : Buffer.from(String(chunk))
    const at = breakingPoint(bytes)
    if (at < 0) return true
    stop(bytes, at)
    return false
  }
  response.write = ((chunk: unknown) => (pass(chunk) ? write(chunk as Buffer) : true)) as ServerResponse['write']
  response.end = ((chunk?: unknown) => {
    if (chunk !== undefined && !pass(chunk)) return response
    if (broken) return response
    // An answer that was complete before the fault came: silence and loss still hold.
    if (effect === 'stall' || effect === 'lose') {
      stop(Buffer.alloc(0), 0)
      return response
    }
    end(chunk as Buffer | undefined)
    return response
  }) as ServerResponse['end']
  // A watch that breaks before its first line may have none for long.
  if (watch && left === 0 && effect !== 'half' && effect !== 'stall') setImmediate(() => pass(Buffer.alloc(0)))
}

const lineEnd = (chunk: Buffer, from: number): number => {
  const newline = chunk.indexOf(0x0a, from)
  return newline < 0 ? chunk.length : newline
}

function bound(response: ServerResponse): {
  write: (chunk: Buffer, done?: () => void) => boolean
  end: (chunk?: Buffer) => void
} {
  const write = response.write.bind(response)
  const end = response.end.bind(response)
  return {
    write: (chunk, done) => (done === undefined ? write(chunk) : write(chunk, done)),
    end: (chunk) => void (chunk === undefined ? end() : end(chunk)),
  }
}
