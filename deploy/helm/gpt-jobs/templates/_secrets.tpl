{{/*
Secrets that the chart makes itself: once, from letters and digits, and kept, also when the release is gone, since
the volumes that know these passwords are kept too. Without a cluster to look them up in, each rendering makes others.
*/}}

{{/* The value that the secret in the cluster has for a key, or a new one. Takes "ctx", "secret", "key", "length". */}}
{{- define "gpt-jobs.kept" -}}
{{- $there := lookup "v1" "Secret" .ctx.Release.Namespace .secret | default dict -}}
{{- dig "data" .key "" $there | default (randAlphaNum .length | b64enc) | quote -}}
{{- end -}}

{{/* Takes "ctx", "component", "name", "keys" (a dict of key and length), "plain" (a dict of key and value). */}}
{{- define "gpt-jobs.keptSecret" -}}
apiVersion: v1
kind: Secret
metadata:
  name: {{ .name }}
  namespace: {{ .ctx.Release.Namespace }}
  labels:
    {{- include "gpt-jobs.labels" . | nindent 4 }}
  annotations:
    helm.sh/resource-policy: keep
type: Opaque
data:
  {{- range $key, $length := .keys }}
  {{ $key }}: {{ include "gpt-jobs.kept" (dict "ctx" $.ctx "secret" $.name "key" $key "length" $length) }}
  {{- end }}
  {{- range $key, $value := .plain }}
  {{ $key }}: {{ $value | b64enc | quote }}
  {{- end }}
{{- end -}}
