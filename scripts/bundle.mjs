// Bundle the one executable, dist/hybridnet.mjs: every program is a subcommand of it.
import { build } from 'esbuild'
import { chmod } from 'node:fs/promises'

const banner = [
  '#!/usr/bin/env node',
  // CommonJS dependencies inside an ESM bundle expect these three.
  "import { createRequire as __createRequire } from 'node:module'",
  "import { fileURLToPath as __fileURLToPath } from 'node:url'",
  'const require = __createRequire(import.meta.url)',
  'const __filename = __fileURLToPath(import.meta.url)',
  "const __dirname = __fileURLToPath(new URL('.', import.meta.url))",
].join('\n')

const outfile = 'dist/hybridnet.mjs'
await build({
  entryPoints: ['lib/main/hybridnet.ts'],
  outfile,
  bundle: true,
  platform: 'node',
  format: 'esm',
  target: 'node20',
  sourcemap: 'linked',
  banner: { js: banner },
  logLevel: 'warning',
})
await chmod(outfile, 0o755)
