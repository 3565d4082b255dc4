{{/* The groups of the mixin's files, without the alerts that are disabled, and with the labels that every alert gets. */}}
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
