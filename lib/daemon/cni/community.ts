// Puts community plugins (bandwidth, portmap, loopback, ...) on the host for the chain behind ours (R-INS-04). A host's own copy stays
// when it supports CNI versions as new as ours: it is the newer one, or the distribution's.
import { readFile, mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { askVersions, writeAtomically, type InstallReport } from './install.ts'

export interface CommunityPluginsOptions {
  /** File names, without a directory. */
  readonly names: readonly string[]
  readonly sourceDirectory: string
  /** Where the runtime looks for plugins, e.g. /opt/cni/bin. */
  readonly binDirectory: string
}

/** Order of versions such as 0.3.1 and 1.0.0; above zero when `a` is newer. */
function compareVersions(a: string, b: string): number {
  const numbers = (text: string): number[] => text.split('.').map(Number)
  const [left, right] = [numbers(a), numbers(b)]
  for (let i = 0; i < 3; i++) {
    const difference = (left[i] ?? 0) - (right[i] ?? 0)
    if (difference !== 0) return difference
  }
  return 0
}

/** The newest CNI version of a plugin; null when it is missing or does not run here. */
async function newestVersion(path: string): Promise<string | null> {
  try {
    return [...(await askVersions(path))].sort(compareVersions).at(-1) ?? null
  } catch {
    return null // what it is that keeps it from running does not matter: ours replaces it
  }
}

/**
 * Copies the plugins that the host lacks, whose copy there does not run, or is older.
 *
 * @throws Error when a name is no file name, or a copy cannot be written or does not run on this host
 */
export async function installCommunityPlugins(options: CommunityPluginsOptions): Promise<InstallReport> {
  const { names, sourceDirectory, binDirectory } = options
  const warnings: string[] = []
  let changed = false
  for (const name of names) {
    if (!/^[\w.-]+$/.test(name) || name.startsWith('.')) {
      throw new Error(`community plugin '${name}': expected a file name such as bandwidth`)
    }
    const source = join(sourceDirectory, name)
    const target = join(binDirectory, name)
    const present = await newestVersion(target)
    const offered = await newestVersion(source)
    if (offered === null) {
      warnings.push(`plugin ${name} is not in ${sourceDirectory}${present === null ? '' : '; the host has its own'}`)
      continue
    }
    if (present !== null && compareVersions(present, offered) >= 0) continue
    await mkdir(binDirectory, { recursive: true })
    await writeAtomically(target, await readFile(source), 0o755)
    await askVersions(target)
    changed = true
  }
  return { changed, warnings }
}
