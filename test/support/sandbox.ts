// Fresh namespaces for tests, and the guard that keeps kernel code out of this machine's own network.
import { assertSandbox } from '../../lib/standalone/sandbox.ts'

export { sandboxCommand, sandboxEnvironment } from '../../lib/standalone/sandbox.ts'

/**
 * Refuse to continue in the network namespace of the machine.
 *
 * @throws Error unless the runner started this process in namespaces of its own
 */
export function requireSandbox(): void {
  assertSandbox('a test or benchmark of the kernel')
}
