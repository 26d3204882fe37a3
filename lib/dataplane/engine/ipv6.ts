// Whether IPv6 is on (spec/dataplane.md §8.7).
import { readFile } from 'node:fs/promises'
import { sysctlReadAll, type NetworkNamespace } from '../../netlink/index.ts'

/** Off when the module is told so or the namespace is; a kernel without the setting has no IPv6 (defect 42). */
export async function ipv6Enabled(namespace: NetworkNamespace): Promise<boolean> {
  const [off] = await sysctlReadAll(namespace, ['net/ipv6/conf/all/disable_ipv6'])
  if (off instanceof Error) throw off
  if (off === undefined || off === null || off.trim() === '1') return false
  return !(await moduleDisabled())
}

async function moduleDisabled(): Promise<boolean> {
  try {
    return (await readFile('/sys/module/ipv6/parameters/disable', 'utf8')).trim() === '1'
  } catch (error) {
    // Without /sys nobody can have been told anything there; the setting above has decided.
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false
    throw error
  }
}
