// Manager processes: the real `startManager`, over a link, in a process that can be killed between any two steps. One that ends
// or dies is started again, as a Deployment does.
import { KubeClient } from '../../../lib/kube/index.ts'
import { startManager, type Manager } from '../../../lib/manager/index.ts'
import { createLogger } from '../../../lib/telemetry/log.ts'
import { Registry } from '../../../lib/telemetry/metrics.ts'
import type { Dice } from '../engine/dice.ts'
import { SimProcess } from '../engine/process.ts'
import type { Scheduler } from '../engine/scheduler.ts'
import type { Endpoint } from '../server/endpoint.ts'
import type { LinkSettings } from '../server/faults.ts'
import { Link, type Tap } from '../server/link.ts'
import type { Store } from '../server/store.ts'

export interface LogLine {
  readonly level: number
  readonly msg: string
  readonly err?: { readonly type?: string; readonly message?: string; readonly stack?: string }
  readonly [field: string]: unknown
}

/** One life of a manager. */
export interface ManagerLife {
  readonly process: SimProcess
  readonly link: Link
  readonly manager: Manager | null
}

export interface ClockSettings {
  readonly maxDrift: number
  readonly maxAheadMs: number
  readonly slowMs: number
  readonly macBits: number
}

export interface ManagersOptions {
  readonly scheduler: Scheduler
  readonly endpoint: Endpoint
  readonly store: Store
  readonly dice: Dice
  readonly count: number
  readonly clocks: ClockSettings
  readonly settings: () => LinkSettings
  readonly tap?: ((process: SimProcess) => Tap) | undefined
  readonly logLevel: string
  readonly onLog: (line: LogLine, process: SimProcess) => void
  readonly onStart?: ((life: ManagerLife) => void) | undefined
  readonly trace?: ((text: string) => void) | undefined
}

export class Managers {
  readonly #options: ManagersOptions
  readonly #lives: (ManagerLife | null)[]
  readonly #serials: number[]

  constructor(options: ManagersOptions) {
    this.#options = options
    this.#lives = Array.from({ length: options.count }, () => null)
    this.#serials = Array.from({ length: options.count }, () => 0)
    options.store.onChange((change) => {
      for (const life of this.#lives) life?.link.changed(change)
    })
  }

  /** Those that live now. */
  living(): ManagerLife[] {
    return this.#lives.filter((life) => life !== null && !life.process.dead) as ManagerLife[]
  }

  life(index: number): ManagerLife | null {
    const life = this.#lives[index] ?? null
    return life === null || life.process.dead ? null : life
  }

  start(index: number): void {
    if (this.life(index) !== null) return
    const { scheduler, endpoint, store, dice, clocks, settings, tap, trace, logLevel, onLog } = this.#options
    const serial = (this.#serials[index] ?? 0) + 1
    this.#serials[index] = serial
    const name = `manager-${index}.${serial}`
    const own = dice.split(name)
    const machine = dice.split(`machine ${index}`)
    const process = new SimProcess(scheduler, {
      name,
      dice: own.split('chance'),
      rate: 1 + machine.between(-clocks.maxDrift, clocks.maxDrift),
      aheadMs: machine.between(-clocks.maxAheadMs, clocks.maxAheadMs),
      slowMs: machine.chance(0.5) ? clocks.slowMs : 0,
      macBits: clocks.macBits,
    })
    const link = new Link({
      scheduler,
      process,
      endpoint,
      store,
      dice: own.split('link'),
      settings,
      ...(tap === undefined ? {} : { tap: tap(process) }),
      trace,
    })
    const life = { process, link, manager: null as Manager | null }
    this.#lives[index] = life
    const log = createLogger({
      name,
      level: logLevel,
      sink: { write: (line) => onLog(JSON.parse(line) as LogLine, process) },
    })
    scheduler.after(0, process, () => {
      const client = KubeClient.through(link, null)
      life.manager = startManager({
        client,
        log,
        registry: new Registry(),
        identity: name,
        namespace: 'kube-system',
        defaults: { networkType: 'Overlay' },
      })
      this.#options.onStart?.(life)
      void life.manager.ended.then((error) => {
        trace?.(`${name} ended: ${error?.message ?? 'told to'}`)
        this.kill(index, own.between(500, 5000))
      })
    })
    trace?.(`${name} started`)
  }

  /** Nothing of it runs any more; what it has sent is on its way. */
  kill(index: number, restartMs: number): void {
    const life = this.life(index)
    if (life === null) return
    life.process.dead = true
    this.#options.trace?.(`${life.process.name} is dead`)
    this.#options.scheduler.after(restartMs, null, () => this.start(index))
  }

  /** SIGTERM. */
  terminate(index: number): void {
    const life = this.life(index)
    if (life === null) return
    this.#options.scheduler.after(0, life.process, () => void life.manager?.stop())
  }
}
