{{- define "rabbitmq.secretPasswordName" -}}
{{- tpl .Values.auth.existingPasswordSecret . | default (include "common.names.fullname" .) -}}
{{- end -}}

{{- define "rabbitmq.secretPasswordKey" -}}
{{- .Values.auth.existingSecretPasswordKey | default "rabbitmq-password" -}}
{{- end -}}
