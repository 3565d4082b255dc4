{{/* The groups of the mixin's files, without the alerts that are disabled. Alerts get labels, and whole addresses of runbooks. */}}
{{- define "gracewatch.ruleGroups" -}}
{{- $wanted := .Values.prometheusRule }}
{{- $known := list }}
{{- $groups := list }}
{{- range $path, $_ := .Files.Glob "files/rules/*.yaml" }}
{{- range $group := ($.Files.Get $path | fromYaml).groups }}
{{- $rules := list }}
{{- range $rule := $group.rules }}
{{- if $rule.alert }}
{{- $known = append $known $rule.alert }}
{{- with $wanted.alertLabels }}
{{- $_ := set $rule "labels" (mergeOverwrite (dict) (default (dict) $rule.labels) .) }}
{{- end }}
{{- if and $wanted.runbookPrefix $rule.annotations.runbook_url }}
{{- $_ := set $rule.annotations "runbook_url" (print $wanted.runbookPrefix $rule.annotations.runbook_url) }}
{{- end }}
{{- end }}
{{- if not (and $rule.alert (has $rule.alert $wanted.disabledAlerts)) }}
{{- $rules = append $rules $rule }}
{{- end }}
{{- end }}
{{- with $rules }}
{{- $groups = append $groups (merge (dict "rules" .) (omit $group "rules")) }}
{{- end }}
{{- end }}
{{- end }}
{{- range $wanted.disabledAlerts }}
{{- if not (has . $known) }}
{{- fail (printf "prometheusRule.disabledAlerts names %s, which is no alert; there are: %s" . (join ", " (sortAlpha $known))) }}
{{- end }}
{{- end }}
{{- toYaml $groups }}
{{- end }}
