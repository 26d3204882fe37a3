// Taking and leaving the Unix socket's path (R-SRV-01): a stale socket is replaced only after nobody accepted on it, the
// new one appears complete (listening, mode 0600) by a rename, and on leaving only our own is removed.
import { chmod, mkdir, rename, rm, stat, unlink } from 'node:fs/promises'
import { createConnection, type Server } from 'node:net'
import { basename, dirname, join } from 'node:path'

// sun_path has 108 bytes with the NUL.
const maxPath = 107
const probeTimeout = 1000

/** Identity of a bound socket, to recognise it later. */
export interface BoundSocket {
  readonly path: string
  readonly inode: number
}

function errorCode(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : ''
}

/** Whether somebody accepts connections there. */
function isServed(path: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const connection = createConnection(path)
    const finish = (served: boolean): void => {
      connection.destroy()
      resolve(served)
    }
    // A full backlog is somebody too.
    connection.setTimeout(probeTimeout, () => finish(true))
    connection.once('connect', () => finish(true))
    connection.once('error', (error) => {
      connection.destroy()
      const code = errorCode(error)
      if (code === 'ECONNREFUSED' || code === 'ENOENT') resolve(false)
      else if (code === 'EAGAIN') resolve(true)
      else reject(new Error(`cannot probe the socket '${path}': ${error.message}`, { cause: error }))
    })
  })
}

async function removeStale(path: string): Promise<void> {
  let isSocket: boolean
  try {
    isSocket = (await stat(path)).isSocket()
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return
    throw error
  }
  if (!isSocket) throw new Error(`'${path}' exists and is not a socket; remove it or choose another path`)
  if (await isServed(path)) throw new Error(`another process accepts connections on '${path}'`)
  await rm(path, { force: true })
}

function listen(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const failed = (error: Error): void =>
      reject(new Error(`cannot listen on '${path}': ${error.message}`, { cause: error }))
    server.once('error', failed)
    server.listen(path, () => {
      server.removeListener('error', failed)
      resolve()
    })
  })
}

/**
 * Make `server` listen on `path`; the directory is made (0755) when absent.
 *
 * @throws Error when the path is too long, not a socket, or served by somebody else, or cannot be bound
 */
export async function bindSocket(server: Server, path: string): Promise<BoundSocket> {
  const temporary = join(dirname(path), `.${basename(path)}.${process.pid}`)
  if (!path.startsWith('/') || Buffer.byteLength(temporary) > maxPath) {
    throw new Error(`socket path '${path}': expected an absolute path of at most ${maxPath - 9} bytes`)
  }
  await mkdir(dirname(path), { recursive: true })
  await removeStale(path)
  await rm(temporary, { force: true })
  await listen(server, temporary)
  try {
    await chmod(temporary, 0o600)
    await rename(temporary, path)
    return { path, inode: (await stat(path)).ino }
  } catch (error) {
    server.close()
    throw error
  }
}

/** Remove the socket's file unless another process has put its own there. */
export async function removeSocket(socket: BoundSocket): Promise<void> {
  try {
    if ((await stat(socket.path)).ino === socket.inode) await unlink(socket.path)
  } catch (error) {
    if (errorCode(error) !== 'ENOENT') throw error
  }
}
