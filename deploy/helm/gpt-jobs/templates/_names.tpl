{{/* Names, labels and images. Most of them take (dict "ctx" $ "component" "gateway"). */}}

{{/* Cut so that the longest suffix, -dashboard-overview, still fits into the 63 characters of a name. */}}
{{- define "gpt-jobs.fullname" -}}
{{- if contains "gpt-jobs" .Release.Name -}}
{{- .Release.Name | trunc 44 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-gpt-jobs" (.Release.Name | trunc 35 | trimSuffix "-") -}}
{{- end -}}
{{- end -}}

{{- define "gpt-jobs.name" -}}
{{- printf "%s-%s" (include "gpt-jobs.fullname" .ctx) .component -}}
{{- end -}}

{{- define "gpt-jobs.selectorLabels" -}}
app.kubernetes.io/name: gpt-jobs
app.kubernetes.io/instance: {{ .ctx.Release.Name | quote }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{- define "gpt-jobs.labels" -}}
{{ include "gpt-jobs.selectorLabels" . }}
app.kubernetes.io/version: {{ .ctx.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .ctx.Release.Service }}
app.kubernetes.io/part-of: gpt-jobs
helm.sh/chart: {{ printf "%s-%s" .ctx.Chart.Name .ctx.Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- end -}}

{{/* metadata of an object that belongs to a component and has its name. */}}
{{- define "gpt-jobs.metadata" -}}
name: {{ include "gpt-jobs.name" . }}
namespace: {{ .ctx.Release.Namespace }}
labels:
  {{- include "gpt-jobs.labels" . | nindent 2 }}
{{- end -}}

{{/* The key under which values.yaml speaks of a component. */}}
{{- define "gpt-jobs.valuesKey" -}}
{{- get (dict "gateway" "gateway" "gpt-worker" "worker" "result-reader" "reader") .component -}}
{{- end -}}

{{/* What values.yaml says of a component: `defaults`, overlaid by its own. As JSON. */}}
{{- define "gpt-jobs.values" -}}
{{- $own := index .ctx.Values (include "gpt-jobs.valuesKey" .) -}}
{{- $merged := mergeOverwrite (deepCopy .ctx.Values.defaults) (deepCopy $own) -}}
{{- $_ := set $merged "settings" (mergeOverwrite (deepCopy .ctx.Values.settings) ($own.settings | default dict)) -}}
{{- toJson $merged -}}
{{- end -}}

{{/* registry/repository:tag or @digest; takes (dict "ctx" $ "image" {…}). */}}
{{- define "gpt-jobs.image" -}}
{{- $registry := .image.registry | default (dig "imageRegistry" "" (.ctx.Values.global | default dict)) -}}
{{- with $registry }}{{ trimSuffix "/" . }}/{{ end -}}
{{- .image.repository -}}
{{- if .image.digest }}@{{ .image.digest }}{{ else }}:{{ .image.tag | default .ctx.Chart.AppVersion }}{{ end -}}
{{- end -}}
