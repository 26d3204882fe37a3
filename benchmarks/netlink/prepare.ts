// What must exist before the namespaces are entered, because it may need the network: the C and Go programs and the npm
// package. All of it goes into .cache; whatever cannot be had is left out, with the reason said loudly.
import { execFile } from 'node:child_process'
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'

const execute = promisify(execFile)
const here = import.meta.dirname
export const root = resolve(here, '../..')
const cache = join(root, '.cache/benchmarks')

const NPM_VERSION = '0.3.0'

/** Paths of the contenders, with versions; null when a contender is missing. */
export interface Prepared {
  readonly limit: string
  readonly go: { readonly path: string; readonly version: string } | null
  readonly python: { readonly path: string; readonly version: string } | null
  readonly npm: { readonly folder: string; readonly version: string } | null
  readonly iproute: string | null
  readonly ours: string | null
}

function skipped(what: string, error: unknown): null {
  const stderr = (error as { stderr?: string }).stderr?.trim()
  const reason = stderr || (error instanceof Error ? error.message : String(error))
  console.error(`\n*** SKIPPED: ${what} is missing from this run: ${reason.split('\n').slice(-3).join(' | ')}\n`)
  return null
}

async function buildLimit(): Promise<string> {
  const program = join(cache, 'limit')
  await execute('cc', ['-O2', '-Wall', '-Wextra', '-o', program, join(here, 'c/limit.c')])
  return program
}

async function buildGo(): Promise<Prepared['go']> {
  const path = join(cache, 'go/contender')
  const env = {
    ...process.env,
    PATH: `${process.env['PATH'] ?? ''}:/usr/local/go/bin`,
    GOMODCACHE: join(cache, 'go/mod'),
    GOCACHE: join(cache, 'go/build'),
    GOTOOLCHAIN: 'local',
  }
  try {
    await execute('go', ['build', '-o', path, '.'], { cwd: join(here, 'go'), env })
    const { stdout } = await execute('go', ['version'], { env })
    const { stdout: library } = await execute('go', ['list', '-m', 'github.com/vishvananda/netlink'], {
      cwd: join(here, 'go'),
      env,
    })
    return { path, version: `${library.trim().split(' ')[1] ?? ''}, ${stdout.trim().split(' ')[2] ?? ''}` }
  } catch (error) {
    return skipped('the Go contender', error)
  }
}

async function findPython(): Promise<Prepared['python']> {
  let last: unknown = new Error('no python3')
  for (const path of ['python3', '/usr/bin/python3']) {
    try {
      const { stdout } = await execute(path, [join(here, 'python/contender.py'), '--version'])
      return { path, version: stdout.trim() }
    } catch (error) {
      last = error
    }
  }
  return skipped('pyroute2 (Debian: python3-pyroute2)', last)
}

async function installNpm(): Promise<Prepared['npm']> {
  const folder = join(cache, 'npm')
  try {
    if (!existsSync(join(folder, 'node_modules/netlink/package.json'))) {
      mkdirSync(folder, { recursive: true })
      writeFileSync(join(folder, 'package.json'), '{ "private": true }\n')
      await execute('npm', ['install', '--ignore-scripts', '--no-audit', '--no-fund', `netlink@${NPM_VERSION}`], {
        cwd: folder,
      })
    }
    return { folder, version: NPM_VERSION }
  } catch (error) {
    return skipped('the npm package netlink', error)
  }
}

async function iprouteVersion(): Promise<string | null> {
  try {
    const { stdout } = await execute('ip', ['-V'])
    return /iproute2-([^, ]+)/.exec(stdout)?.[1] ?? stdout.trim()
  } catch (error) {
    return skipped('iproute2', error)
  }
}

async function oursBuilt(): Promise<string | null> {
  try {
    await execute('bash', [join(root, 'scripts/build-native')])
    return join(here, 'ours.ts')
  } catch (error) {
    return skipped('this project (the addon does not build)', error)
  }
}

/** @throws Error when the C limit does not build: without it nothing can be compared */
export async function prepare(): Promise<Prepared> {
  mkdirSync(join(cache, 'go'), { recursive: true })
  const limit = await buildLimit()
  const ours = await oursBuilt()
  return {
    limit,
    ours,
    go: await buildGo(),
    python: await findPython(),
    npm: await installNpm(),
    iproute: await iprouteVersion(),
  }
}
