{{/* The public paths of each service, as in docs/api.md; "/" is that path alone, and there if the page is. */}}
{{- define "gpt-jobs.routes" -}}
{{- $settings := get (include "gpt-jobs.values" (dict "ctx" . "component" "gateway") | fromJson) "settings" }}
gateway: [/v1/jobs, /predict/start{{ if $settings.PLAYGROUND }}, /, /playground{{ end }}]
result-reader: [/v1/results, /predict/query]
{{- end -}}
