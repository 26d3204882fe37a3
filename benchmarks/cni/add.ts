// CNI: the shim's exchange with the daemon, and ADD and DEL of pods whose address is assigned already, serially and many at once.
// The kernel's share (veth, addresses, routes) is inside; compare with the floor by running the same machine's netlink
// benchmark. Everything happens in namespaces of its own.
//
//   node --import tsx benchmarks/cni/add.ts [PODS]
import { callShim, CniNode, requireShim, type TestPod } from '../../test/support/cni-node.ts'
import { requireFreshNamespace, restartInSandbox, startedInSandbox } from '../support/sandbox.ts'

const pods = Number(process.argv[2] ?? 100)

function percentile(sorted: readonly number[], part: number): string {
  return (sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? 0).toFixed(2)
}

function report(what: string, times: readonly number[]): void {
  const sorted = [...times].sort((a, b) => a - b)
  const [best, median, high] = [0, 0.5, 0.99].map((part) => percentile(sorted, part))
  console.log(`${what.padEnd(44)} min ${best} ms, p50 ${median} ms, p99 ${high} ms (${times.length})`)
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now()
  await work()
  return performance.now() - start
}

async function serially(count: number, work: (i: number) => Promise<unknown>): Promise<number[]> {
  const times: number[] = []
  for (let i = 0; i < count; i++) times.push(await timed(() => work(i)))
  return times
}

async function measure(): Promise<void> {
  requireShim()
  const node = await CniNode.start()
  node.prepareHost()
  const podOf = (i: number): TestPod => ({
    name: `pod-${i}`,
    addresses: [`10.40.${i >> 8}.${i & 255}/16`, `fd00:40::${i.toString(16)}/64`],
  })
  const paths: string[] = []
  for (let i = 0; i < pods; i++) {
    paths.push(await node.namespace(`pod-${i}`))
    node.networking.assign(podOf(i))
  }
  const call = (i: number) => ({ pod: podOf(i), netns: paths[i] ?? '', containerId: `c${i}` })
  const must = async (work: Promise<{ status: number; stdout: string }>): Promise<void> => {
    const result = await work
    if (result.status !== 0) throw new Error(result.stdout)
  }
  const signal = new AbortController().signal
  const direct = (command: 'ADD' | 'DEL', i: number): Promise<unknown> =>
    node.service.handle(
      {
        command,
        containerId: `c${i}`,
        netns: paths[i] ?? '',
        ifname: 'eth0',
        pod: { namespace: 'default', name: `pod-${i}`, uid: null },
        version: '1.1.0',
        prevResult: null,
        validAttachments: null,
      },
      signal,
    )
  report('process start alone (shim VERSION)', await serially(pods, () => callShim({ CNI_COMMAND: 'VERSION' }, '')))
  report('shim exchange (STATUS)', await serially(pods, () => must(node.call({ command: 'STATUS' }))))
  report('server ADD, dual stack', await serially(pods, (i) => direct('ADD', i)))
  report('server DEL', await serially(pods, (i) => direct('DEL', i)))
  report('shim + server ADD, dual stack', await serially(pods, (i) => must(node.call({ command: 'ADD', ...call(i) }))))
  report('shim + server CHECK', await serially(pods, (i) => must(node.call({ command: 'CHECK', ...call(i) }))))
  report('shim + server DEL', await serially(pods, (i) => must(node.call({ command: 'DEL', ...call(i) }))))
  const each: number[] = []
  const all = await timed(() =>
    Promise.all(
      paths.map(async (_, i) => each.push(await timed(() => must(node.call({ command: 'ADD', ...call(i) }))))),
    ),
  )
  report(`${pods} ADDs at once, each`, each)
  console.log(`${pods} ADDs at once, all: ${all.toFixed(0)} ms`)
  await node.stop()
}

if (!startedInSandbox()) await restartInSandbox()
requireFreshNamespace()
await measure()
