// One server at a time on a directory: flock(2) on a file in it. The kernel ends the lock with the process, however that ends, so
// that nothing is ever left to be cleared away.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { open, type FileHandle } from 'node:fs/promises'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { errorText } from '../../../kube/index.ts'
import { JournalError } from './record.ts'

/** What flock(1) is told to answer when somebody else has the lock. */
const TAKEN = 75

/**
 * Lock a directory until the handle is closed or this process ends.
 *
 * @throws JournalError naming the holder when another process, or another journal of this one, has it
 */
export async function lockDirectory(directory: string): Promise<FileHandle> {
  const path = join(directory, 'lock')
  const file = await open(path, 'a+', 0o600)
  try {
    const code = await lock(file.fd)
    if (code === TAKEN) {
      const holder = (await file.readFile('utf8')).trim()
      throw new JournalError(`journal ${directory}: in use by ${holder === '' ? 'another server' : holder}`)
    }
    if (code !== 0) throw new JournalError(`journal ${path}: flock: exit ${code}`)
    await file.truncate(0)
    await file.appendFile(`process ${process.pid} of ${hostname()}\n`)
    return file
  } catch (error) {
    await file.close()
    throw error instanceof JournalError
      ? error
      : new JournalError(`journal ${path}: cannot be locked: ${errorText(error)}`, { cause: error })
  }
}

/**
 * Node has no call for it. A lock belongs to the open file, not to the process that asked: the program's descriptor is a copy of
 * this one and the lock stays when it has ended.
 *
 * Equivalent to: `flock --nonblock FD`
 */
async function lock(fd: number): Promise<number | null> {
  const child = spawn('flock', ['--nonblock', '--conflict-exit-code', String(TAKEN), '3'], {
    stdio: ['ignore', 'ignore', 'ignore', fd],
  })
  const [code] = (await once(child, 'exit')) as [number | null]
  return code
}
