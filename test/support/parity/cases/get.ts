// Reading: every output form of `kubectl get`, selectors, pages, watches, `describe`, `explain`, discovery.
import type { Case } from '../session.ts'

const two = `apiVersion: v1
kind: Pod
metadata: {name: web-a, labels: {app: web, tier: front}, annotations: {note: first}}
spec:
  automountServiceAccountToken: false
  terminationGracePeriodSeconds: 1
  containers:
  - {name: main, image: "registry.local/web:1", ports: [{containerPort: 80, name: http}], env: [{name: MODE, value: x}, {name: NODE, valueFrom: {fieldRef: {fieldPath: spec.nodeName}}}]}
  - {name: side, image: "registry.local/side:1", resources: {requests: {cpu: 100m, memory: 64Mi}, limits: {memory: 128Mi}}}
  volumes: [{name: settings, configMap: {name: settings}}]
---
apiVersion: v1
kind: Pod
metadata: {name: web-b, labels: {app: web}}
spec:
  automountServiceAccountToken: false
  terminationGracePeriodSeconds: 1
  containers: [{name: main, image: "registry.local/web:2", livenessProbe: {tcpSocket: {port: 80}}}]
`

const maps = ['a', 'b', 'c', 'd', 'e']
  .map((name, index) => `{apiVersion: v1, kind: ConfigMap, metadata: {name: ${name}, labels: {n: "${index}", parity: ${index % 2 ? 'odd' : 'even'}}}, data: {key: "${9 - index}"}}`)
  .join('\n---\n')
  .replace(/^/, '---\n') // prettier-ignore

/** Kinds of served groups that are left out. */
const notServed =
  '^(bindings|componentstatuses|limitranges|persistentvolume|podtemplates|replicationcontrollers|resourcequotas|validatingadmissionpolic|leasecandidates|ingress|ipaddresses|servicecidrs)'

export const getCases: readonly Case[] = [
  {
    name: 'get-pods',
    files: { 'pods.yaml': two },
    steps: [
      'kubectl get pods',
      { quiet: 'kubectl apply -f pods.yaml' },
      { quiet: 'kubectl wait --for=condition=Ready pod --all --timeout=60s' },
      'kubectl get pods',
      'kubectl get pods --no-headers',
      'kubectl get pods -o wide',
      'kubectl get po -o name',
      'kubectl get pod web-a -o yaml',
      'kubectl get pod web-b -o json',
      'kubectl get pod web-a -o yaml --show-managed-fields | grep -A1 "manager: kubectl"',
      'kubectl get pods -o jsonpath=\'{range .items[*]}{.metadata.name}{"\\t"}{.spec.containers[*].image}{"\\n"}{end}\'',
      'kubectl get pod web-a -o jsonpath=\'{.spec.containers[?(@.name=="side")].image}\'',
      'kubectl get pods -o jsonpath-as-json={.items[*].metadata.labels}',
      'kubectl get pods -o go-template=\'{{range .items}}{{.metadata.name}} {{len .spec.containers}}{{"\\n"}}{{end}}\'',
      'kubectl get pods -o custom-columns=NAME:.metadata.name,APP:.metadata.labels.app,NONE:.spec.nothing',
      'kubectl get pods --show-labels',
      'kubectl get pods -L app,tier',
      'kubectl get pods --show-kind',
      "kubectl get pods --sort-by='{.spec.containers[0].image}'",
      'kubectl get pods -l tier=front',
      "kubectl get pods -l 'app in (web,db),!tier' -o name",
      'kubectl get pods --field-selector=metadata.name=web-b',
      'kubectl get pods --field-selector=status.phase=Running,spec.nodeName!=nowhere -o name',
      'kubectl get pods --field-selector=spec.nothing=x',
      "kubectl get pods -l 'a=b=c'",
      'kubectl get pods -A -l app=web',
      'kubectl get pod web-a nothing',
      'kubectl get pod nothing --ignore-not-found',
      'kubectl get pods,configmaps',
      'kubectl get unknowns',
      'kubectl get pods --raw-nothing',
      'kubectl get pods -o nothing',
      'kubectl get --raw /api/v1/namespaces/$NS/pods/nothing',
      'kubectl describe pod web-a',
      'kubectl describe pods -l app=web | grep -E "^(Name|Status|QoS Class|Labels|Annotations):"',
      'kubectl get pods -n nowhere',
      'kubectl describe pod nothing',
    ],
  },
  {
    name: 'get-lists',
    files: { 'maps.yaml': maps },
    steps: [
      'kubectl create -f maps.yaml',
      'kubectl get cm --chunk-size=2',
      'kubectl get cm --chunk-size=1 -o name',
      'kubectl get cm --sort-by=.data.key -l n -o custom-columns=NAME:.metadata.name,KEY:.data.key',
      'kubectl get cm -l parity=odd',
      "kubectl get cm -l 'parity notin (odd),n' -L parity",
      'kubectl get -f maps.yaml',
      'kubectl get cm a b',
      'kubectl get cm/a cm/e',
      'kubectl get cm a -o yaml',
      'kubectl get --raw "/api/v1/namespaces/$NS/configmaps?limit=1&labelSelector=parity%3Deven" | grep -oE \'"(name|key|continue)":"[^"]{1,5}\' | sort',
      'kubectl get --raw "/api/v1/namespaces/$NS/configmaps?limit=2" | grep -o \'"remainingItemCount":[0-9]*\'',
      'kubectl get --raw "/api/v1/namespaces/$NS/configmaps?continue=nonsense" 2>&1 | cut -c1-80',
      'kubectl get --raw "/api/v1/namespaces/$NS/configmaps?limit=-1" | grep -o \'"remainingItemCount"\'',
      {
        run: 'kubectl get --raw "/api/v1/namespaces/$NS/configmaps?resourceVersion=nonsense"',
        differs: 'the real one answers 500 with an error of Go',
      },
      'kubectl get --raw "/api/v1/namespaces/$NS/configmaps?resourceVersionMatch=Exact"',
      'kubectl delete cm -l parity=even',
      'kubectl get cm',
    ],
  },
  {
    name: 'get-watch',
    steps: [
      "follow 'kube-root-ca' 'DELETED' 'kubectl get cm -w --output-watch-events' 'kubectl create cm one --from-literal=a=b; kubectl label cm one x=y; kubectl delete cm one'",
      "follow 'kube-root-ca' 'one' 'kubectl get cm -w' 'kubectl create cm one --from-literal=a=b --from-literal=c=d'",
      "follow 'one' 'one.*b2' 'kubectl get cm one -w -o custom-columns=NAME:.metadata.name,A:.data.a' 'kubectl patch cm one -p {\\\"data\\\":{\\\"a\\\":\\\"b2\\\"}}'",
      `( for i in $(seq 300); do kubectl annotate cm one n=$i --overwrite; sleep 0.2; done >/dev/null 2>&1 ) & writer=$!
kubectl get cm one --watch-only -o name | head -1
kill $writer`,
    ],
  },
  {
    name: 'get-kinds',
    files: {
      'kinds.yaml': `
{apiVersion: v1, kind: Service, metadata: {name: plain}, spec: {selector: {app: web}, ports: [{port: 80, targetPort: http, name: http}, {port: 53, protocol: UDP, name: dns}]}}
---
{apiVersion: v1, kind: Service, metadata: {name: headless}, spec: {clusterIP: None, selector: {app: web}, ports: [{port: 80}]}}
---
{apiVersion: v1, kind: Service, metadata: {name: external}, spec: {type: ExternalName, externalName: example.com}}
---
{apiVersion: v1, kind: Service, metadata: {name: ports}, spec: {type: NodePort, ports: [{port: 80}]}}
---
{apiVersion: v1, kind: Service, metadata: {name: balanced}, spec: {type: LoadBalancer, ports: [{port: 80}], externalIPs: [192.0.2.1]}}
---
{apiVersion: v1, kind: Secret, metadata: {name: token}, stringData: {a: b}}
---
{apiVersion: v1, kind: ServiceAccount, metadata: {name: robot}}
---
{apiVersion: v1, kind: Endpoints, metadata: {name: manual}, subsets: [{addresses: [{ip: 192.0.2.1}, {ip: 192.0.2.2}], notReadyAddresses: [{ip: 192.0.2.3}], ports: [{port: 80, name: http}]}]}
---
{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {name: slice}, addressType: IPv4, endpoints: [{addresses: [192.0.2.1]}], ports: [{port: 80}]}
---
{apiVersion: coordination.k8s.io/v1, kind: Lease, metadata: {name: lock}, spec: {holderIdentity: me, leaseDurationSeconds: 15}}
---
{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: deny}, spec: {podSelector: {matchLabels: {app: web}}, policyTypes: [Ingress]}}
---
{apiVersion: policy/v1, kind: PodDisruptionBudget, metadata: {name: budget}, spec: {minAvailable: 1, selector: {matchLabels: {app: web}}}}
---
{apiVersion: rbac.authorization.k8s.io/v1, kind: Role, metadata: {name: reader}, rules: [{apiGroups: [""], resources: [pods], verbs: [get]}]}
---
{apiVersion: rbac.authorization.k8s.io/v1, kind: RoleBinding, metadata: {name: readers}, roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: reader}, subjects: [{kind: User, name: ann, apiGroup: rbac.authorization.k8s.io}, {kind: ServiceAccount, name: robot, namespace: get-kinds}]}
---
{apiVersion: apps/v1, kind: DaemonSet, metadata: {name: agents}, spec: {selector: {matchLabels: {app: agent}}, template: {metadata: {labels: {app: agent}}, spec: {nodeSelector: {no: where}, containers: [{name: main, image: none}]}}}}
---
{apiVersion: v1, kind: Event, metadata: {name: something}, involvedObject: {kind: Pod, name: web, namespace: get-kinds}, reason: Because, message: it happened, type: Warning, count: 3, source: {component: me}}
`,
    },
    steps: [
      'kubectl create -f kinds.yaml',
      ...['services', 'secrets', 'serviceaccounts', 'endpoints/manual', 'endpointslices/slice', 'leases', 'networkpolicies', 'roles', 'rolebindings', 'events'].flatMap(
        (kind) => [`kubectl get ${kind}`, `kubectl get ${kind} -o wide`],
      ), // prettier-ignore
      'kubectl get svc plain headless external -o yaml',
      'kubectl get svc ports balanced -o yaml',
      'kubectl get secret token -o yaml',
      'kubectl get sa robot -o yaml',
      'kubectl get pdb',
      'kubectl get pdb budget -o yaml | sed /^status/,//d',
      'kubectl get netpol deny -o yaml',
      'kubectl get lease lock -o yaml',
      'kubectl get ds agents -o yaml | sed /^status/,//d',
      'kubectl get endpointslice slice -o yaml',
      'kubectl get role reader -o yaml',
      'kubectl describe svc plain',
      'kubectl describe svc ports',
      'kubectl describe networkpolicy deny',
      'kubectl describe secret token',
      'kubectl describe sa robot',
      'kubectl describe role reader',
      'kubectl describe lease lock | sed /Acquire/d',
      'kubectl events',
      'kubectl events --types=Warning --for pod/web',
      'kubectl get ns $NS',
      'kubectl get ns $NS -o yaml',
      'kubectl describe ns $NS | sed "/^No /d; /^$/d"',
      'kubectl get all',
    ],
  },
  {
    name: 'discovery',
    steps: [
      ...['', 'apps', 'coordination.k8s.io', 'discovery.k8s.io', 'apiextensions.k8s.io', 'admissionregistration.k8s.io', 'rbac.authorization.k8s.io', 'networking.alibaba.com', 'multicluster.alibaba.com'].map(
        (group) => `kubectl api-resources --api-group='${group}' -o wide | grep -vE '${notServed}'`,
      ), // prettier-ignore
      'kubectl api-versions | grep -E "^(v1|apps/v1|coordination.k8s.io/v1|discovery.k8s.io/v1|networking.alibaba.com/v1)$"',
      'kubectl explain pod.spec.containers.imagePullPolicy | grep -E "^(KIND|VERSION|FIELD)|\t<"',
      'kubectl explain configmap | grep -E "^(KIND|VERSION|FIELD)|\t<"',
      'kubectl explain lease.spec | grep -E "^(KIND|VERSION|FIELD)|\t<"',
      'kubectl explain deployment.spec.strategy --recursive | grep -E "^(KIND|VERSION|FIELD)|\t<" | sed s/IntOrString/string/',
      'kubectl explain network.spec',
      'kubectl explain subnet.spec.range',
      'kubectl explain ipinstance --recursive | grep -v fieldsV1',
      'kubectl explain pod.nothing',
      'kubectl auth can-i create pods',
      'kubectl auth can-i --list >/dev/null',
      'kubectl auth whoami -o jsonpath={.status.userInfo.username} | wc -l',
      'kubectl get --raw /readyz',
      'kubectl get --raw /livez',
      'kubectl get --raw /healthz',
      'kubectl get --raw /nothing',
      'kubectl get --raw /apis/nothing',
      'kubectl get --raw /apis/apps/v2',
      'kubectl get --raw /api/v1/nothing',
      'kubectl get --raw /api/v1/namespaces/$NS/pods/a/nothing',
      'kubectl get --raw /apis/apps/v1/namespaces/$NS/nothing/a',
    ],
  },
]
