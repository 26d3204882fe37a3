// Cases are terminal sessions: shell commands around kubectl and what they print. The same cases run against the embedded
// control plane and the real one; their transcripts, with what means nothing masked, must be the same.
import { spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { mask } from './mask.ts'

/**
 * A shell command whose output is part of the transcript; one that only prepares and must succeed; or one that is known to
 * say something else on the real control plane, with the reason: only its exit status is held against that.
 */
export type Step = string | { readonly quiet: string } | { readonly run: string; readonly differs: string }

export interface Case {
  /** Also the namespace it runs in, made for it. */
  readonly name: string
  /** Files of its folder, by name. */
  readonly files?: Readonly<Record<string, string>>
  readonly steps: readonly Step[]
}

/** Words of the sessions. */
const shell = String.raw`
# until_ok COMMAND...: again until it succeeds; its last output
until_ok() {
  local end=$((SECONDS + 60)) out
  until out=$("$@" 2>&1); do
    [ $SECONDS -lt $end ] || { echo "never: $*: $out"; return 1; }
    sleep 0.1
  done
  printf '%s\n' "$out"
}
# until_says PATTERN COMMAND...: again until its output matches; that output
until_says() {
  local end=$((SECONDS + 60)) out pattern=$1
  shift
  until out=$("$@" 2>&1); grep -Eqz -- "$pattern" <<<"$out"; do
    [ $SECONDS -lt $end ] || { echo "never: $*: $out"; return 1; }
    sleep 0.1
  done
  printf '%s\n' "$out"
}
# follow BEGIN END COMMAND ACTION: run COMMAND beside; when its output matches BEGIN do ACTION; stop it when it matches END
follow() {
  local out=follow.$RANDOM end=$((SECONDS + 60)) pid
  : >$out
  $3 >>$out 2>&1 &
  pid=$!
  until grep -Eq -- "$1" $out; do [ $SECONDS -lt $end ] || break; sleep 0.05; done
  eval "$4" >/dev/null
  until grep -Eqz -- "$2" $out; do [ $SECONDS -lt $end ] || { echo "never: $2"; break; }; sleep 0.05; done
  kill $pid
  wait $pid 2>/dev/null
  cat $out
}
`

interface Kubeconfig {
  readonly contexts: readonly { readonly context: { namespace?: string } }[]
}

export class Session {
  readonly #home = mkdtempSync(join(tmpdir(), 'session-'))
  readonly #kubeconfig: Kubeconfig
  readonly #program: string

  /** @param kubeconfig in JSON, with one context */
  constructor(kubeconfig: string, program = process.env['KUBECTL'] ?? 'kubectl') {
    this.#kubeconfig = JSON.parse(kubeconfig) as Kubeconfig
    this.#program = program
  }

  /** @returns the transcript. @throws Error when a quiet step fails */
  async run(one: Case): Promise<string> {
    const folder = join(this.#home, one.name)
    mkdirSync(folder, { recursive: true })
    for (const [name, content] of Object.entries(one.files ?? {})) {
      mkdirSync(dirname(join(folder, name)), { recursive: true })
      writeFileSync(join(folder, name), content)
    }
    const config = structuredClone(this.#kubeconfig)
    for (const { context } of config.contexts) context.namespace = one.name
    const path = join(this.#home, `${one.name}.kubeconfig`)
    writeFileSync(path, JSON.stringify(config))
    const run = (script: string): ReturnType<typeof runShell> =>
      runShell(`shopt -s expand_aliases\nkubectl() { command "$KUBECTL" "$@"; }\n${shell}\n${script}`, folder, {
        PATH: process.env['PATH'] ?? '',
        HOME: this.#home,
        KUBECONFIG: path,
        KUBECTL: this.#program,
        LC_ALL: 'C',
        TZ: 'UTC',
        NS: one.name,
      })
    const must = async (script: string): Promise<void> => {
      const { code, out, err } = await run(script)
      if (code !== 0) throw new Error(`${one.name}: ${script}: exit ${code}: ${out}${err}`)
    }
    await must(`kubectl create namespace ${one.name} && until_ok kubectl get serviceaccount default`)
    const parts: string[] = []
    try {
      for (const step of one.steps) {
        if (typeof step !== 'string' && 'quiet' in step) {
          await must(step.quiet)
          continue
        }
        const command = typeof step === 'string' ? step : step.run
        const { code, out, err } = await run(command)
        parts.push(`$ ${command}\n`)
        if (typeof step === 'string') parts.push(shown(out), shown(err).replaceAll(/^/gm, '! ').replace(/! $/, ''))
        else parts.push(`(not compared: ${step.differs})\n`)
        if (code !== 0) parts.push(`= ${code}\n`)
      }
    } finally {
      await must(`kubectl delete namespace ${one.name} --wait=false`)
    }
    return parts.join('')
  }

  close(): void {
    rmSync(this.#home, { recursive: true, force: true })
  }
}

/** Whole lines, masked; several errors of one object come in no order. */
function shown(text: string): string {
  const lines = mask(text === '' || text.endsWith('\n') ? text : `${text}\n`)
  return lines.replaceAll(/(?:^\* .*\n)+/gm, (errors) =>
    errors
      .trimEnd()
      .split('\n')
      .sort()
      .map((line) => `${line}\n`)
      .join(''),
  )
}

function runShell(
  script: string,
  cwd: string,
  env: Readonly<Record<string, string>>,
): Promise<{ code: number | null; out: string; err: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn('bash', ['-c', script], { cwd, env, stdio: ['ignore', 'pipe', 'pipe'] })
    let out = ''
    let err = ''
    child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()))
    child.stderr.on('data', (chunk: Buffer) => (err += chunk.toString()))
    child.on('error', reject)
    child.on('close', (code) => resolve({ code, out, err }))
  })
}
