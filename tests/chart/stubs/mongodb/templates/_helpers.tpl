{{- define "mongodb.fullname" -}}
{{- include "common.names.fullname" . -}}
{{- end -}}

{{- define "mongodb.secretName" -}}
{{- tpl .Values.auth.existingSecret . | default (include "mongodb.fullname" .) -}}
{{- end -}}

{{/* A replica set has a headless Service only. */}}
{{- define "mongodb.service.nameOverride" -}}
{{- $suffix := ternary "-headless" "" (eq .Values.architecture "replicaset") -}}
{{- .Values.service.nameOverride | default (printf "%s%s" (include "mongodb.fullname" .) $suffix) -}}
{{- end -}}
