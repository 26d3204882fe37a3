// The one executable: every program is a subcommand. Each is loaded only when asked for, so that the manager never loads
// the addon and `--help` stays instant.
import { UsageError } from './flags.ts'

interface Program {
  readonly summary: string
  readonly load: () => Promise<{ run: (argv: string[]) => Promise<number> }>
}

const programs: Readonly<Record<string, Program>> = {
  daemon: {
    summary: "node agent: keeps this node's kernel equal to the cluster state, serves the CNI socket",
    load: () => import('./daemon.ts'),
  },
  manager: {
    summary: 'cluster controllers: allocates addresses (IPAM), keeps statuses and node labels',
    load: () => import('./manager.ts'),
  },
  webhook: {
    summary: 'admission: validates Networks, Subnets and pods, steers pods to nodes that can hold them',
    load: () => import('./webhook.ts'),
  },
  'install-cni': {
    summary: 'copy the CNI plugin and its configuration to the host',
    load: () => import('./install-cni.ts'),
  },
  'install-crds': {
    summary: 'create or update the CustomResourceDefinitions, which Helm does not do on an upgrade',
    load: () => import('./install-crds.ts'),
  },
  standalone: {
    summary: 'a Kubernetes API and nodes as network namespaces, for trying out, development and tests',
    load: () => import('./standalone.ts'),
  },
  demo: {
    summary: 'start a three-node cluster on this machine and show every pod reaching every other',
    load: () => import('./demo.ts'),
  },
}

function usage(): string {
  const width = Math.max(...Object.keys(programs).map((name) => name.length))
  const lines = Object.entries(programs).map(([name, program]) => `  ${name.padEnd(width)}  ${program.summary}`)
  return `Usage: hybridnet COMMAND [OPTIONS]\n\nCommands:\n${lines.join('\n')}\n\n\`hybridnet COMMAND --help\` explains a command and its options.\n`
}

const [name, ...argv] = process.argv.slice(2)
if (name === undefined || name === '--help' || name === '-h' || name === 'help') {
  process.stdout.write(usage())
  process.exit(name === undefined ? 2 : 0)
}
const program = programs[name]
if (program === undefined) {
  process.stderr.write(`hybridnet: unknown command '${name}'\n\n${usage()}`)
  process.exit(2)
}
try {
  process.exitCode = await (await program.load()).run(argv)
} catch (error) {
  process.stderr.write(`hybridnet ${name}: ${describe(error)}\n`)
  process.exitCode = error instanceof UsageError ? 2 : 1
}

/** What an operator can act on is the message; where in the program it arose helps only with a fault of the program. */
function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const ours = [TypeError, ReferenceError, RangeError, SyntaxError].some((kind) => error instanceof kind)
  const asked = argv.some((argument) => /^(--log-level=)?(debug|trace)$/.test(argument))
  return ours || asked ? (error.stack ?? error.message) : error.message
}
