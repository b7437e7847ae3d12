{{/*
One operator in a namespace: its objects are named after it, not after the release, so that the
gateways' network policies, the Lease and `mcp-gateway-operator status` find it.
*/}}
{{- define "operator.name" -}}mcp-gateway-operator{{- end }}

{{/* Names of objects without a namespace: two releases in two namespaces must not share them. */}}
{{- define "operator.clusterName" -}}{{ .Release.Namespace }}:{{ include "operator.name" . }}{{- end }}

{{- define "operator.serviceAccount" -}}
{{- .Values.serviceAccount.name | default (include "operator.name" .) -}}
{{- end }}

{{- define "operator.selector" -}}
app.kubernetes.io/name: {{ include "operator.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "operator.labels" -}}
{{ include "operator.selector" . }}
app.kubernetes.io/component: operator
app.kubernetes.io/part-of: mcp-gateway
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{/* An image: repository@digest, or repository:tag. Takes a list: the image's values, the chart. */}}
{{- define "operator.image" -}}
{{- $image := index . 0 -}}{{- $chart := index . 1 -}}
{{- if $image.digest -}}
{{ $image.repository }}@{{ $image.digest }}
{{- else -}}
{{ $image.repository }}:{{ $image.tag | default $chart.AppVersion }}
{{- end -}}
{{- end }}

{{/* The security contexts of a pod and of a container under the Pod Security Standard `restricted`. */}}
{{- define "operator.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "operator.containerSecurity" -}}
{{- $restricted := dict
    "allowPrivilegeEscalation" false
    "readOnlyRootFilesystem" true
    "capabilities" (dict "drop" (list "ALL")) -}}
{{- toYaml (mergeOverwrite $restricted .Values.containerSecurityContext) -}}
{{- end }}
