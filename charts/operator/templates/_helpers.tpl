{{/* Names are the same in every release: see values.yaml. */}}
{{- define "operator.name" -}}banhbaoring-operator{{- end }}

{{- define "operator.selector" -}}
app.kubernetes.io/name: banhbaoring-operator
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "operator.labels" -}}
{{ include "operator.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/part-of: banhbaoring
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{- define "operator.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}
{{ .repository }}@{{ .digest }}
{{- else -}}
{{ .repository }}:{{ .tag | default (printf "v%s" $.Chart.AppVersion) }}
{{- end -}}
{{- end -}}
{{- end }}

{{/* Enabled first-party plugins with what was generated from their descriptors, as YAML: name to {definitions, grants, rules}. */}}
{{- define "operator.plugins" -}}
{{- $plugins := dict -}}
{{- range $path, $_ := .Files.Glob "plugins/*.yaml" -}}
{{- $name := base $path | trimSuffix ".yaml" -}}
{{- $chosen := required (printf "firstParty.plugins.%s is missing" $name) (index $.Values.firstParty.plugins $name) -}}
{{- if $chosen.enabled -}}
{{- $_ := set $plugins $name ($.Files.Get $path | fromYaml) -}}
{{- end -}}
{{- end -}}
{{- toYaml $plugins -}}
{{- end }}

{{/* The one key that a release is signed with, as an authority's key. */}}
{{- define "operator.releaseKey" -}}
{{- $secret := .Values.releaseKey.secret -}}
{{- if and .Values.releaseKey.data $secret.name -}}
{{- fail "releaseKey: give either data or secret.name, not both" -}}
{{- else if .Values.releaseKey.data -}}
data: {{ .Values.releaseKey.data | quote }}
{{- else if $secret.name -}}
secretRef: {namespace: {{ .Release.Namespace }}, name: {{ $secret.name }}, key: {{ $secret.key | quote }}}
{{- else -}}
{{- fail "firstParty.registry needs releaseKey.data or releaseKey.secret.name: the public key that its plugins are signed with" -}}
{{- end -}}
{{- end }}
