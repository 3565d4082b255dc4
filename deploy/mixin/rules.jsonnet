std.manifestYamlDoc((import 'mixin.libsonnet').prometheusRules, quote_keys=false)
