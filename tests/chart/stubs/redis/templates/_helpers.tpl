{{- define "redis.secretName" -}}
{{- tpl .Values.auth.existingSecret . | default (include "common.names.fullname" .) -}}
{{- end -}}

{{- define "redis.secretPasswordKey" -}}
{{- .Values.auth.existingSecretPasswordKey | default "redis-password" -}}
{{- end -}}
