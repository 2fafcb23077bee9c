{{/* The public paths of each service, as in docs/api.md. */}}
{{- define "gpt-jobs.routes" -}}
gateway: [/v1/jobs, /predict/start]
result-reader: [/v1/results, /predict/query]
{{- end -}}
