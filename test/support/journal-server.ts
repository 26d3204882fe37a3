// An API server with a journal as a process of its own, to be killed: `journal-server.ts SOCKET DIRECTORY`. Writes a line when
// it listens.
import { startApiServer } from '../../lib/standalone/apiserver/index.ts'

const [path = '', dataDirectory = ''] = process.argv.slice(2)
await startApiServer({ listen: [{ path }], dataDirectory })
process.stdout.write('listening\n')
