// Writing: create, apply, patch, edit, replace, label, annotate, delete, diff, dry runs, and what the server refuses.
import type { Case } from '../session.ts'

const map = (data: string, more = ''): string =>
  `apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: settings\n  labels: {app: web}\n${more}data:\n${data}`

const pod = (image: string, more = ''): string => `apiVersion: v1
kind: Pod
metadata: {name: web, labels: {app: web}}
spec:
  automountServiceAccountToken: false
  terminationGracePeriodSeconds: 1
  containers:
  - name: main
    image: ${image}
    ports: [{containerPort: 80}]
    env: [{name: A, value: b}, {name: C, value: d}]
${more}`

const editor = (expression: string): string => `#!/bin/sh\nsed -i '${expression}' "$1"\n`

export const writeCases: readonly Case[] = [
  {
    name: 'create',
    steps: [
      'kubectl create namespace create-two',
      'kubectl create namespace create-two',
      'kubectl delete namespace create-two',
      'kubectl create configmap settings --from-literal=a=b --from-literal=c=d',
      'kubectl create configmap settings --from-literal=a=b',
      'kubectl create secret generic token --from-literal=a=b',
      'kubectl create secret docker-registry pull --docker-server=r.local --docker-username=u --docker-password=p',
      'kubectl create serviceaccount robot',
      'kubectl create role reader --verb=get,list --resource=pods',
      'kubectl create rolebinding readers --role=reader --serviceaccount=$NS:robot --user=ann',
      'kubectl create clusterrole create-all --verb=get --resource=nodes',
      'kubectl create clusterrolebinding create-all --clusterrole=create-all --group=people',
      'kubectl delete clusterrole/create-all clusterrolebinding/create-all',
      'kubectl create service clusterip plain --tcp=80:8080',
      'kubectl create service nodeport ports --tcp=80',
      'kubectl create service externalname external --external-name=example.com',
      'kubectl create deployment web --image=registry.local/web:1 --replicas=0 --port=80',
      'kubectl create poddisruptionbudget budget --selector=app=web --min-available=50%',
      'kubectl create priorityclass create-high --value=1000 --description=high',
      'kubectl get priorityclass create-high',
      'kubectl delete priorityclass create-high',
      'kubectl create deployment drawn --image=none --dry-run=client -o yaml',
      'kubectl create deployment drawn --image=none --dry-run=server -o name',
      'kubectl get deployment drawn',
      'kubectl create deployment Wrong_Name --image=none',
      'kubectl create namespace under_score',
      'kubectl create configmap UPPER --from-literal=a=b',
      'kubectl create service clusterip 1digit --tcp=80',
      'kubectl create configmap bad --from-literal="a b"=c',
      'kubectl run quick --image=none --restart=Never --labels=a=b --env=X=y --port=80 --dry-run=server -o jsonpath={.spec.restartPolicy}{.spec.containers[0].env}{.spec.containers[0].ports}{.metadata.labels}',
      'kubectl run "Bad Name" --image=none',
      `kubectl create -f - <<<'{"apiVersion":"v1","kind":"ConfigMap","metadata":{"generateName":"made-"}}'`,
      `kubectl create -f - <<<'{"apiVersion":"v1","kind":"ConfigMap","metadata":{}}'`,
      `kubectl create -f - <<<'{"apiVersion":"v1","kind":"Unknown","metadata":{"name":"x"}}'`,
      `kubectl create -f - <<<'{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"x","namespace":"nowhere"}}'`,
      `kubectl create -f - <<<'{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"x","resourceVersion":"1"}}'`,
      'kubectl create job once --image=none --dry-run=server -o name',
      'kubectl get cm,secret,sa,role,rolebinding,svc,deploy,pdb -o name',
    ],
  },
  {
    name: 'apply',
    files: { 'one.yaml': pod('registry.local/web:1'), 'two.yaml': pod('registry.local/web:2'), 'three.yaml': pod('registry.local/web:2').replace('80', '81'), 'wrong.yaml': pod('x', '    wrong: field\n'), 'map.yaml': map('  a: "1"\n  b: "2"\n'), 'map2.yaml': map('  a: "3"\n'), 'dir/a.yaml': '---\n{apiVersion: v1, kind: ConfigMap, metadata: {name: dir-a, labels: {set: dir}}}', 'dir/b.yaml': '---\n{apiVersion: v1, kind: ConfigMap, metadata: {name: dir-b, labels: {set: dir}}}' }, // prettier-ignore
    steps: [
      'kubectl apply -f one.yaml --dry-run=server',
      'kubectl apply -f one.yaml --dry-run=client',
      'kubectl apply -f one.yaml',
      'kubectl apply -f one.yaml',
      'kubectl diff -f one.yaml',
      'kubectl diff -f two.yaml | sed "s/^\\(---\\|+++\\|diff\\).*/\\1/"',
      'kubectl apply -f two.yaml --dry-run=server',
      'kubectl apply -f two.yaml',
      'kubectl get pod web -o jsonpath={.spec.containers[0].image}',
      { run: 'kubectl apply -f three.yaml', differs: 'the real one adds a difference of Go structures' },
      { run: 'kubectl apply -f wrong.yaml', differs: 'the real one shows the patch as Go would' },
      'kubectl apply -f wrong.yaml --validate=warn 2>&1 | head -1',
      'kubectl apply -f map.yaml',
      'kubectl apply -f map2.yaml',
      'kubectl get cm settings -o yaml',
      'kubectl apply view-last-applied cm settings',
      'kubectl apply set-last-applied -f map.yaml',
      'kubectl apply edit-last-applied --help >/dev/null',
      'kubectl apply -f dir',
      { quiet: 'rm dir/b.yaml' },
      'kubectl apply -f dir --prune -l set=dir --prune-allowlist=core/v1/ConfigMap',
      'kubectl get cm -l set=dir -o name',
      'kubectl delete -f dir',
      'kubectl delete -f dir',
      'kubectl delete -f dir --ignore-not-found',
      'kubectl delete -f two.yaml',
      'kubectl apply -f nothing.yaml',
    ],
  },
  {
    name: 'apply-server',
    files: {
      'one.yaml': map('  a: "1"\n  b: "2"\n'),
      'two.yaml': map('  a: "9"\n  c: "3"\n'),
      'three.yaml': map('  c: "3"\n'),
      'deploy.yaml': `apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 0
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: main, image: "registry.local/web:1", env: [{name: A, value: b}], ports: [{containerPort: 80}]}]}
`,
      'image.yaml': `apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  template:
    spec: {containers: [{name: main, image: "registry.local/web:2"}]}
`,
    },
    steps: [
      'kubectl apply --server-side -f one.yaml --dry-run=server',
      'kubectl apply --server-side -f one.yaml',
      'kubectl apply --server-side -f one.yaml',
      'kubectl get cm settings -o yaml --show-managed-fields',
      'kubectl apply --server-side --field-manager=other -f two.yaml',
      'kubectl apply --server-side --field-manager=other -f two.yaml --force-conflicts',
      'kubectl get cm settings -o yaml --show-managed-fields',
      'kubectl apply --server-side --field-manager=other -f three.yaml',
      'kubectl get cm settings -o jsonpath={.data}',
      'kubectl apply --server-side -f two.yaml',
      'kubectl patch cm settings -p \'{"data":{"c":"by-patch"}}\'',
      'kubectl apply --server-side --field-manager=other -f three.yaml',
      'kubectl diff --server-side -f one.yaml | sed "s/^\\(---\\|+++\\|diff\\).*/\\1/"',
      'kubectl apply --server-side -f deploy.yaml',
      'kubectl apply --server-side --field-manager=images -f image.yaml',
      'kubectl apply --server-side --field-manager=images -f image.yaml --force-conflicts',
      `kubectl get deploy web --show-managed-fields -o jsonpath='{.metadata.managedFields[?(@.manager=="images")].fieldsV1}'`,
      'kubectl scale deploy web --replicas=1',
      'kubectl apply --server-side -f deploy.yaml 2>&1',
      'kubectl apply --server-side -f deploy.yaml --force-conflicts',
      `kubectl apply --server-side -f - <<<'{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"nope","managedFields":[{"manager":"x"}]}}'`,
      {
        run: `kubectl apply --server-side -f - <<<'{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"nope"},"wrong":1}'`,
        differs: 'the real one answers 500',
      },
      'kubectl apply -f one.yaml',
    ],
  },
  {
    name: 'patch',
    files: { 'pod.yaml': pod('registry.local/web:1'), 'patch.yaml': 'data:\n  fromfile: "yes"\n' },
    steps: [
      { quiet: 'kubectl create cm settings --from-literal=a=b --from-literal=c=d' },
      { quiet: 'kubectl create -f pod.yaml' },
      `kubectl patch cm settings -p '{"data":{"a":"merged"}}'`,
      `kubectl patch cm settings -p '{"data":{"a":"merged"}}'`,
      `kubectl patch cm settings --type=merge -p '{"data":{"c":null,"e":"f"}}'`,
      `kubectl patch cm settings --type=json -p '[{"op":"test","path":"/data/e","value":"f"},{"op":"add","path":"/data/g","value":"h"},{"op":"remove","path":"/data/a"}]'`,
      'kubectl get cm settings -o jsonpath={.data}',
      'kubectl patch cm settings --patch-file=patch.yaml',
      `kubectl patch cm settings --type=json -p '[{"op":"test","path":"/data/e","value":"no"}]'`,
      `kubectl patch cm settings --type=json -p '[{"op":"remove","path":"/data/nothing"}]'`,
      `kubectl patch cm settings --type=json -p '[{"op":"replace","path":"/data/nothing","value":"x"}]'`,
      `kubectl patch cm settings --type=json -p '{"op":"remove"}'`,
      `kubectl patch cm settings --type=json -p '[{"op":"bend","path":"/data/e"}]'`,
      {
        run: `kubectl patch cm settings --type=merge -p '{"data":{"n":1}}'`,
        differs: 'the real one speaks of Go types',
      },
      {
        run: `kubectl patch cm settings --type=merge -p '{"data":"text"}'`,
        differs: 'the real one speaks of Go types',
      },
      `kubectl patch cm settings --type=merge -p '{"metadata":{"name":"other"}}'`,
      `kubectl patch cm settings --type=merge -p '{"metadata":{"uid":"00000000-0000-0000-0000-00000000000x"}}'`,
      `kubectl patch cm settings --type=merge -p '{"metadata":{"resourceVersion":"1"}}'`,
      `kubectl patch cm settings --type=merge -p '{"metadata":{"labels":{"bad key":"x"}}}'`,
      `kubectl patch cm settings --type=merge -p '{"metadata":{"labels":{"k":"bad value!"}}}'`,
      {
        run: `kubectl patch cm settings --type=merge -p '{"kind":"Secret"}'`,
        differs: 'the real one speaks of Go types',
      },
      `kubectl patch cm settings --type=merge -p '{"metadata":{"finalizers":["nodomain"]}}'`,
      `kubectl patch cm nothing -p '{}'`,
      `kubectl patch pod web -p '{"spec":{"containers":[{"name":"main","image":"registry.local/web:9"}]}}'`,
      `kubectl patch pod web -p '{"metadata":{"labels":{"$patch":"replace","only":"this"}}}'`,
      'kubectl get pod web --show-labels --no-headers | grep -o only=.*',
      {
        run: `kubectl patch pod web -p '{"spec":{"containers":[{"name":"main","env":[{"name":"A","value":"z"}]}]}}'`,
        differs: 'the real one adds a difference of Go structures',
      },
      `kubectl patch pod web -p '{"spec":{"tolerations":[{"key":"x","operator":"Exists"}]}}'`,
      'kubectl get pod web -o jsonpath={.spec.tolerations}',
      {
        run: `kubectl patch pod web --type=json -p '[{"op":"replace","path":"/spec/containers/0/name","value":"other"}]'`,
        differs: 'the real one adds a difference of Go structures',
      },
      `kubectl patch pod web --subresource=status --type=merge -p '{"status":{"message":"from a patch"}}'`,
      'kubectl get pod web -o jsonpath={.status.message}',
      `kubectl patch pod web --dry-run=server -p '{"metadata":{"labels":{"dry":"run"}}}' -o jsonpath={.metadata.labels.dry}`,
      'kubectl get pod web -o jsonpath={.metadata.labels.dry}',
      'kubectl delete pod web --now',
    ],
  },
  {
    name: 'edit',
    files: {
      'change.sh': editor('s/: before/: after/'),
      'same.sh': '#!/bin/sh\nexit 0\n',
      'wrong.sh': editor('s/^kind: ConfigMap/kind: Wrong/'),
      'label.sh': editor('s/^  name: settings/  name: settings\\n  labels: {a: b}/'),
      'forbidden.sh': `#!/bin/sh
n=$(cat tries 2>/dev/null || echo 0); echo $((n + 1)) >tries
[ $n = 0 ] && sed -i 's/containerPort: 80/containerPort: 81/' "$1" || sed '/^#/!d' "$1" >shown
exit 0
`,
      'pod.yaml': pod('registry.local/web:1'),
    },
    steps: [
      { quiet: 'chmod +x *.sh; kubectl create cm settings --from-literal=a=before' },
      'EDITOR=./change.sh kubectl edit cm settings',
      'kubectl get cm settings -o jsonpath={.data.a}',
      'EDITOR=./same.sh kubectl edit cm settings',
      'EDITOR=./label.sh kubectl edit cm/settings -o json; kubectl get cm settings --show-labels',
      'EDITOR=./label.sh kubectl edit cm settings; kubectl get cm settings --show-labels',
      { quiet: 'kubectl create -f pod.yaml' },
      'EDITOR=./forbidden.sh kubectl edit pod web 2>&1 | sed "s/\\/tmp.*yaml/FILE/"; grep -E "^# .*(Forbidden|invalid)" shown',
      'EDITOR=./same.sh kubectl edit cm nothing',
      'kubectl delete pod web --now',
    ],
  },
  {
    name: 'replace',
    files: { 'one.yaml': map('  a: "1"\n'), 'two.yaml': map('  b: "2"\n'), 'stale.yaml': map('  c: "3"\n', '  resourceVersion: "1"\n'), 'pod.yaml': pod('registry.local/web:1'), 'pod2.yaml': pod('registry.local/web:2').replace('80', '81') }, // prettier-ignore
    steps: [
      'kubectl replace -f one.yaml',
      { quiet: 'kubectl create -f one.yaml' },
      'kubectl replace -f two.yaml',
      'kubectl get cm settings -o jsonpath={.data}',
      'kubectl replace -f stale.yaml',
      'kubectl replace -f one.yaml --dry-run=server -o yaml',
      { quiet: 'kubectl create -f pod.yaml' },
      { run: 'kubectl replace -f pod2.yaml', differs: 'the real one adds a difference of Go structures' },
      'kubectl replace --force -f pod2.yaml',
      'kubectl get pod web -o jsonpath={.spec.containers[0].ports[0].containerPort}',
      'kubectl replace --force --cascade=foreground -f two.yaml',
      'kubectl get cm settings -o yaml | sed s/before/after/ | kubectl replace -f -',
      'kubectl delete pod web --now',
    ],
  },
  {
    name: 'label',
    files: { 'pod.yaml': pod('registry.local/web:1') },
    steps: [
      { quiet: 'kubectl create cm one; kubectl create cm two; kubectl create -f pod.yaml' },
      'kubectl label cm one a=b c=d',
      'kubectl label cm one a=b',
      'kubectl label cm one a=x',
      'kubectl label cm one a=x --overwrite',
      'kubectl label cm one a-',
      'kubectl label cm one a-',
      'kubectl label cm --all every=one',
      'kubectl label pod web app=other --overwrite --resource-version=1',
      "kubectl label cm one 'bad key'=x",
      "kubectl label cm one 'k=bad value'",
      'kubectl label cm nothing a=b',
      'kubectl label cm one dry=run --dry-run=server',
      'kubectl annotate cm one note="some text" x=y',
      'kubectl annotate cm one note=other',
      'kubectl annotate cm one note=other --overwrite',
      'kubectl annotate cm one x-',
      'kubectl annotate cm one --list',
      "kubectl annotate cm one 'bad/key/x'=y",
      'kubectl get cm -L every,c',
      'kubectl delete pod web --force --grace-period=0',
    ],
  },
  {
    name: 'delete',
    files: {
      'deploy.yaml': `---\n{apiVersion: apps/v1, kind: Deployment, metadata: {name: web}, spec: {replicas: 2, selector: {matchLabels: {app: web}}, template: {metadata: {labels: {app: web}}, spec: {terminationGracePeriodSeconds: 1, containers: [{name: main, image: none}]}}}}`,
      'held.yaml': `---\n{apiVersion: v1, kind: ConfigMap, metadata: {name: held, finalizers: [example.com/hold]}}`,
    },
    steps: [
      { quiet: 'kubectl create -f deploy.yaml; kubectl rollout status deploy web --timeout=60s' },
      'kubectl delete deploy web --cascade=background',
      "until_says '^[[:space:]]*$' kubectl get rs,pods -o name",
      { quiet: 'kubectl create -f deploy.yaml; kubectl rollout status deploy web --timeout=60s' },
      'kubectl delete deploy web --cascade=foreground',
      'kubectl get rs,pods -o name',
      { quiet: 'kubectl create -f deploy.yaml; kubectl rollout status deploy web --timeout=60s' },
      'kubectl delete deploy web --cascade=orphan',
      'kubectl get rs,pods -l app=web --no-headers -o custom-columns=KIND:.kind,OWNER:.metadata.ownerReferences[*].kind',
      { quiet: 'kubectl create -f deploy.yaml; kubectl rollout status deploy web --timeout=60s' },
      'kubectl get rs,pods -l app=web --no-headers -o custom-columns=KIND:.kind,OWNER:.metadata.ownerReferences[*].kind',
      'kubectl delete rs -l app=web --cascade=orphan',
      'kubectl delete deploy --all',
      'kubectl delete pods -l app=web --wait=true',
      'kubectl create -f held.yaml',
      'kubectl delete cm held --wait=false',
      'kubectl get cm held -o jsonpath={.metadata.finalizers}{.metadata.deletionGracePeriodSeconds}',
      'kubectl delete cm held --timeout=1s 2>&1 | grep -v reflector.go',
      `kubectl patch cm held --type=merge -p '{"metadata":{"finalizers":["example.com/hold","example.com/more"]}}'`,
      `kubectl patch cm held --type=json -p '[{"op":"remove","path":"/metadata/finalizers"}]'`,
      'until_says NotFound kubectl get cm held',
      { quiet: 'kubectl run quick --image=none; kubectl wait --for=condition=Ready pod/quick' },
      'kubectl delete pod quick --dry-run=server',
      'kubectl delete pod quick --grace-period=1',
      { quiet: 'kubectl run quick --image=none; kubectl wait --for=condition=Ready pod/quick' },
      'kubectl delete pod quick --force --grace-period=0',
      'kubectl delete pod quick',
      'kubectl delete pod --all',
      'kubectl delete pod',
      'kubectl delete unknown x',
      'kubectl delete ns default',
      { quiet: 'kubectl create cm one; kubectl create cm two' },
      'kubectl delete cm --field-selector metadata.name=one',
      'kubectl delete cm one two three',
      'kubectl delete --raw /api/v1/namespaces/$NS/configmaps/nothing',
    ],
  },
]
