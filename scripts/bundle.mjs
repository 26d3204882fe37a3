// Bundle the one executable, dist/hybridnet.mjs: every program is a subcommand of it.
import { build } from 'esbuild'
import { chmod, mkdir, rename, writeFile } from 'node:fs/promises'

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
const { outputFiles } = await build({
  entryPoints: ['lib/main/hybridnet.ts'],
  outfile,
  bundle: true,
  platform: 'node',
  format: 'esm',
  target: 'node20',
  sourcemap: 'linked',
  banner: { js: banner },
  logLevel: 'warning',
  write: false,
})
// Renamed into place, the executable last: a program that starts meanwhile reads the old one or the new, never a part.
await mkdir('dist', { recursive: true })
for (const { path, contents } of outputFiles.sort((a, b) => b.path.length - a.path.length)) {
  const temporary = `${path}.new`
  await writeFile(temporary, contents)
  if (!path.endsWith('.map')) await chmod(temporary, 0o755)
  await rename(temporary, path)
}
