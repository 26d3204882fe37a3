{{- define "hybridnet.namespace" -}}
{{ .Values.namespaceOverride | default .Release.Namespace }}
{{- end }}

{{- define "hybridnet.image" -}}
{{- $image := .Values.images.hybridnet -}}
{{ with .Values.images.registryURL }}{{ . }}/{{ end }}{{ $image.image }}:{{ $image.tag | default (printf "v%s" .Chart.AppVersion) }}
{{- end }}

{{- /* Labels of every object; the selectors (app, component) are the original's and cannot change on an upgrade. */ -}}
{{- define "hybridnet.labels" -}}
app: hybridnet
app.kubernetes.io/name: hybridnet
app.kubernetes.io/instance: {{ .Release.Name | quote }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service | quote }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | quote }}
{{- end }}

{{- define "hybridnet.pullSecrets" -}}
{{- with .Values.images.pullSecrets }}
imagePullSecrets:
{{- range . }}
  - name: {{ . | quote }}
{{- end }}
{{- end }}
{{- end }}

{{- define "hybridnet.defaultsEnv" -}}
- name: DEFAULT_NETWORK_TYPE
  value: {{ .Values.defaultNetworkType | quote }}
- name: DEFAULT_IP_FAMILY
  value: {{ .Values.defaultIPFamily | quote }}
- name: NAMESPACE
  valueFrom: { fieldRef: { fieldPath: metadata.namespace } }
{{- end }}

{{- define "hybridnet.featureGates" -}}
MultiCluster={{ .Values.multiCluster }},VMIPRetain={{ .Values.vmIPRetain }}
{{- end }}

{{- define "hybridnet.sharedArgs" -}}
- --default-ip-retain={{ .Values.defaultIPRetain }}
- --stateful-workload-kinds={{ join "," .Values.statefulWorkloadKinds }}
- --feature-gates={{ include "hybridnet.featureGates" . }}
- --log-level={{ .Values.logLevel }}
{{- end }}

{{- /* The port of HOST:PORT. */ -}}
{{- define "hybridnet.port" -}}
{{ regexFind "[0-9]+$" . }}
{{- end }}

{{- /* Control-plane programs run anywhere, on control-plane nodes and apart from each other if they can (R-CHT-06). */ -}}
{{- define "hybridnet.placement" -}}
priorityClassName: system-cluster-critical
tolerations:
  - operator: Exists
{{- with .nodeSelector }}
nodeSelector:
{{- toYaml . | nindent 2 }}
{{- else }}
nodeSelector:
  kubernetes.io/os: linux
affinity:
  nodeAffinity:
    preferredDuringSchedulingIgnoredDuringExecution:
      - weight: 100
        preference:
          matchExpressions: [{ key: node-role.kubernetes.io/control-plane, operator: Exists }]
      - weight: 50
        preference:
          matchExpressions: [{ key: node-role.kubernetes.io/master, operator: Exists }]
{{- end }}
topologySpreadConstraints:
  - maxSkew: 1
    topologyKey: kubernetes.io/hostname
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels: { app: hybridnet, component: {{ .component }} }
{{- end }}

{{- define "hybridnet.unprivileged" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: { drop: [ALL] }
seccompProfile: { type: RuntimeDefault }
{{- end }}
