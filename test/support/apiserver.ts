// A running embedded API server for tests, and a client that shows the raw answers: over a Unix socket, so that no network
// is needed.
import { mkdtempSync, rmSync } from 'node:fs'
import { request as httpRequest } from 'node:http'
import type { IncomingMessage } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { ApiServer, ApiServerOptions, KubeObject } from '../../lib/standalone/apiserver/index.ts'
import { assemble } from '../../lib/standalone/apiserver/server.ts'
import type { Json, JsonObject } from '../../lib/standalone/apiserver/types.ts'

export interface Answer {
  readonly code: number
  readonly body: JsonObject
  readonly headers: IncomingMessage['headers']
  readonly text: string
  /** message of a Status. */
  readonly message: string
}

export interface WatchEvent {
  readonly type: string
  readonly object: KubeObject
}

export interface OpenWatch {
  /** All events so far. */
  readonly events: readonly WatchEvent[]
  /** The next event that has not been taken. @throws Error after 5 s or when the stream has ended */
  next(): Promise<WatchEvent>
  /** Resolves when the server ends the stream. */
  readonly ended: Promise<void>
  close(): void
}

export interface Rig {
  readonly server: ApiServer
  readonly context: Awaited<ReturnType<typeof assemble>>['context']
  call(method: string, path: string, body?: Json | string, headers?: Record<string, string>): Promise<Answer>
  /** As `call`, and fails unless the answer is of 2xx. */
  ok(method: string, path: string, body?: Json | string, headers?: Record<string, string>): Promise<KubeObject>
  watch(path: string, headers?: Record<string, string>): Promise<OpenWatch>
  close(): Promise<void>
}

export async function startRig(options: Partial<ApiServerOptions> = {}): Promise<Rig> {
  const directory = mkdtempSync(join(tmpdir(), 'apiserver-'))
  const socketPath = join(directory, 'api.sock')
  const { server, context } = await assemble({ ...options, listen: [{ path: socketPath }, ...(options.listen ?? [])] })

  const open = (
    method: string,
    path: string,
    body?: Json | string,
    headers: Record<string, string> = {},
  ): Promise<IncomingMessage> =>
    new Promise((resolve, reject) => {
      const content = body === undefined ? undefined : typeof body === 'string' ? body : JSON.stringify(body)
      const request = httpRequest({
        socketPath,
        method,
        path,
        headers: {
          ...(content === undefined
            ? {}
            : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(content) }),
          ...headers,
        },
      })
      request.on('response', resolve)
      request.on('error', reject)
      request.end(content)
    })

  const call: Rig['call'] = async (method, path, body, headers) => {
    const response = await open(method, path, body, headers)
    let text = ''
    for await (const chunk of response) text += String(chunk)
    const json = (response.headers['content-type'] ?? '').startsWith('application/json')
    const answer = json ? (JSON.parse(text) as JsonObject) : {}
    const message = typeof answer['message'] === 'string' ? answer['message'] : ''
    return { code: response.statusCode ?? 0, headers: response.headers, text, body: answer, message }
  }

  return {
    server,
    context,
    call,
    ok: async (method, path, body, headers) => {
      const answer = await call(method, path, body, headers)
      if (answer.code >= 300) throw new Error(`${method} ${path}: ${answer.code} ${answer.text}`)
      return answer.body as KubeObject
    },
    watch: async (path, headers) => followWatch(await open('GET', path, undefined, headers)),
    close: async () => {
      await server.close()
      rmSync(directory, { recursive: true, force: true })
    },
  }
}

function followWatch(response: IncomingMessage): OpenWatch {
  const events: WatchEvent[] = []
  let taken = 0
  let rest = ''
  let finished = false
  let wake: () => void = () => undefined
  const ended = new Promise<void>((resolve) => {
    const end = (): void => {
      finished = true
      wake()
      resolve()
    }
    response.on('end', end)
    response.on('close', end)
  })
  response.on('error', () => wake())
  response.setEncoding('utf8')
  response.on('data', (chunk: string) => {
    const lines = (rest + chunk).split('\n')
    rest = lines.pop() ?? ''
    events.push(...lines.map((line) => JSON.parse(line) as WatchEvent))
    wake()
  })
  return {
    events,
    ended,
    next: async () => {
      const deadline = Date.now() + 5000
      for (;;) {
        const event = events[taken]
        if (event !== undefined) {
          taken++
          return event
        }
        if (finished || Date.now() > deadline) throw new Error(finished ? 'the watch has ended' : 'no event within 5 s')
        await new Promise<void>((resolve) => {
          const timer = setTimeout(resolve, 1000)
          wake = () => {
            clearTimeout(timer)
            resolve()
          }
        })
      }
    },
    close: () => response.destroy(),
  }
}

/** A pod that passes validation. */
export const pod = (name: string, more: JsonObject = {}, spec: JsonObject = {}): KubeObject => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name, ...more },
  spec: { containers: [{ name: 'main', image: 'none' }], ...spec },
})

export const configMap = (name: string, data: { [key: string]: string } = {}): KubeObject => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name },
  data,
})
