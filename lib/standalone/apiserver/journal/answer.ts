// A write is answered when it is on disk.
import type { ServerResponse } from 'node:http'
import type { Logger } from '../../../telemetry/log.ts'
import type { Journal } from './index.ts'

/** Hold the end of an answer until all changes so far are durable; without that there is no answer. */
export function answerWhenDurable(response: ServerResponse, journal: Journal, log: Logger): void {
  const end = response.end.bind(response)
  response.end = ((chunk?: unknown) => {
    journal.synced().then(
      () => void (chunk === undefined ? end() : end(chunk)),
      (error: unknown) => {
        log.error({ err: error }, 'a write cannot be answered')
        response.destroy()
      },
    )
    return response
  }) as ServerResponse['end']
}
