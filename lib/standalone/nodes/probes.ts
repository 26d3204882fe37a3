// Readiness and liveness probes, made as a kubelet makes them: from the node, so that what a pod sees is the node's address.
// `exec` runs the command in the pod's network namespace: there is no container to run it in. Not here: gRPC, startup probes.
import { request as httpRequest, type IncomingMessage } from 'node:http'
import { request as httpsRequest } from 'node:https'
import { Socket } from 'node:net'
import { connectTcp, type NetworkNamespace } from '../../netlink/index.ts'
import { execInNamespace } from '../exec.ts'

/** core/v1 Probe, the fields read here. */
export interface ProbeSpec {
  readonly tcpSocket?: { readonly port: number | string; readonly host?: string }
  readonly httpGet?: {
    readonly port: number | string
    readonly path?: string
    readonly host?: string
    readonly scheme?: string
    readonly httpHeaders?: readonly { readonly name: string; readonly value: string }[]
  }
  readonly exec?: { readonly command?: readonly string[] }
  readonly initialDelaySeconds?: number
  readonly periodSeconds?: number
  readonly timeoutSeconds?: number
  readonly successThreshold?: number
  readonly failureThreshold?: number
}

/** Where a container is to be found. */
export interface ProbeTarget {
  /** The node's namespace, from which it is asked. */
  readonly node: NetworkNamespace
  /** The pod's first address. */
  readonly address: string
  /** Path of the pod's network namespace. */
  readonly netns: string
  /** Ports of the container by name. */
  readonly ports: ReadonlyMap<string, number>
}

/** Ask once. @returns why it failed; null when it succeeded */
export async function probeOnce(spec: ProbeSpec, target: ProbeTarget): Promise<string | null> {
  const timeoutMs = (spec.timeoutSeconds ?? 1) * 1000
  try {
    if (spec.exec !== undefined) {
      const { code, stdout, stderr } = await execInNamespace(target.netns, spec.exec.command ?? [], { timeoutMs })
      return code === 0 ? null : `exit ${code}: ${(stderr || stdout).trim()}`
    }
    if (spec.tcpSocket !== undefined) {
      const { host, port } = spec.tcpSocket
      const fd = await connectTcp(target.node, host ?? target.address, portOf(port, target), { timeout: timeoutMs })
      new Socket({ fd }).destroy()
      return null
    }
    if (spec.httpGet !== undefined) return await httpGet(spec.httpGet, target, timeoutMs)
    return 'the probe has neither exec, tcpSocket nor httpGet'
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}

function portOf(port: number | string, { ports }: ProbeTarget): number {
  const number = typeof port === 'number' ? port : (ports.get(port) ?? Number(port))
  if (Number.isInteger(number)) return number
  throw new Error(`port '${port}' is not one of the container's: ${[...ports.keys()].join(', ') || 'none'}`)
}

async function httpGet(
  get: NonNullable<ProbeSpec['httpGet']>,
  target: ProbeTarget,
  timeoutMs: number,
): Promise<string | null> {
  const port = portOf(get.port, target)
  const host = get.host ?? target.address
  const socket = new Socket({ fd: await connectTcp(target.node, host, port, { timeout: timeoutMs }) })
  const headers = Object.fromEntries((get.httpHeaders ?? []).map(({ name, value }) => [name, value]))
  const secure = get.scheme === 'HTTPS'
  try {
    const response = await new Promise<IncomingMessage>((resolve, reject) => {
      const options = {
        host,
        port,
        path: get.path ?? '/',
        headers: { 'user-agent': 'kube-probe/1.32', connection: 'close', ...headers },
        signal: AbortSignal.timeout(timeoutMs),
        // As with kubelet, the certificate is nobody's business.
        rejectUnauthorized: false,
        ...(secure ? { socket } : { createConnection: () => socket }),
      }
      const request = secure ? httpsRequest(options) : httpRequest(options)
      request.on('response', resolve).on('error', reject).end()
    })
    const status = response.statusCode ?? 0
    return status >= 200 && status < 400 ? null : `HTTP probe failed with statuscode: ${status}`
  } finally {
    socket.destroy()
  }
}

/** One probe of one container, repeated until it is stopped. Thresholds decide when its verdict changes. */
export class Prober {
  readonly #spec: ProbeSpec
  readonly #target: ProbeTarget
  readonly #onResult: (healthy: boolean, why: string) => void
  #timer: NodeJS.Timeout | null = null
  #stopped = false
  #run = 0
  #last: boolean | null = null

  /** @param onResult told each time a threshold is reached */
  constructor(spec: ProbeSpec, target: ProbeTarget, onResult: (healthy: boolean, why: string) => void) {
    this.#spec = spec
    this.#target = target
    this.#onResult = onResult
  }

  start(): this {
    this.#schedule((this.#spec.initialDelaySeconds ?? 0) * 1000)
    return this
  }

  stop(): void {
    this.#stopped = true
    if (this.#timer !== null) clearTimeout(this.#timer)
  }

  #schedule(delayMs: number): void {
    if (!this.#stopped) this.#timer = setTimeout(() => void this.#probe(), delayMs)
  }

  async #probe(): Promise<void> {
    const why = await probeOnce(this.#spec, this.#target)
    if (this.#stopped) return
    const healthy = why === null
    this.#run = healthy === this.#last ? this.#run + 1 : 1
    this.#last = healthy
    const { successThreshold = 1, failureThreshold = 3, periodSeconds = 10 } = this.#spec
    if (this.#run === (healthy ? successThreshold : failureThreshold)) this.#onResult(healthy, why ?? '')
    // What has failed for good may be asked about again: after its container was started anew.
    this.#schedule(periodSeconds * 1000)
  }
}
