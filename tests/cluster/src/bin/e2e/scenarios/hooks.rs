//! Hooks of each kind that do what they should.

use std::time::Duration;

use agent_core::report::{HookKind, HookMethod, Outcome, Trigger};
use anyhow::Result;

use super::programs::{handler, pod_spec, program, visitor};
use crate::check::{Check, How, Off};
use crate::scenario::Scenario;
use crate::stage::{Ended, Pod, Stage, Witness};

pub(crate) const ALL: [Scenario; 5] = [
    Scenario::anywhere("hook_exec", exec_hook),
    Scenario::anywhere("hook_http", http_hook),
    Scenario::anywhere("hook_http_500", http_500),
    Scenario::anywhere("hook_http_beside_probes", http_beside_probes),
    Scenario::anywhere("hook_sleep", sleep_hook),
];

/// What a hook of two seconds says.
const TWO_SECONDS: &str = "say hook; sleep 2; say hooked";

/// A web server whose pages are programs: one that takes two seconds, one that fails.
const WEB: &str = r#"
mkdir -p /www/cgi-bin
cat > /www/cgi-bin/slow <<'END'
#!/bin/sh
say() { read -r up rest < /proc/uptime; echo "$1 $up" > /proc/1/fd/1; }
say hook; sleep 2; say hooked
printf 'HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\ndone\n'
END
sed s/200/500/ /www/cgi-bin/slow > /www/cgi-bin/broken
chmod +x /www/cgi-bin/*
httpd -p 8080 -h /www
trap 'say stop; killall httpd; kill $!; sleep 1; say exit; exit 0' TERM
say up
while :; do sleep 3600 & wait; done"#;

/// Deletes the pod, and waits for what is said of it.
pub(super) fn delete(stage: &Stage<'_>, pod: &Pod) -> Result<(Ended, Witness)> {
    let witness = stage.witness(pod, "app")?;
    stage.kubectl(&["delete", "pod", &pod.name, "--wait=false"])?;
    Ok((stage.wait_for_report(pod, "app")?, witness))
}

/// The stop signal and the exit, as the container says.
pub(super) fn check_stop_and_exit(
    check: &mut Check,
    ended: &Ended,
    witness: &mut Witness,
) -> Result<()> {
    let report = &ended.report;
    let stop = report.stop_signal.as_ref().map(|stop| stop.at);
    check.check_time(
        "stop signal",
        stop,
        witness.wait_for_first("stop")?,
        "the container",
    );
    let exit = report.exit.as_ref().map(|exit| exit.at);
    check.when_announced(
        "exit",
        exit,
        witness.wait_for_first("exit")?,
        "the container",
    );
    Ok(())
}

/// When the hook began, as it says itself.
pub(super) fn check_hook_start(
    check: &mut Check,
    ended: &Ended,
    witness: &mut Witness,
) -> Result<()> {
    let hook = ended.report.hook.as_ref();
    let at = hook.and_then(|hook| hook.started_at);
    check.check_time(
        "hook's start",
        at,
        witness.wait_for_last("hook")?,
        "the hook",
    );
    Ok(())
}

/// Beginning and end of a hook, as it says itself.
pub(super) fn check_hook_run(
    check: &mut Check,
    ended: &Ended,
    witness: &mut Witness,
) -> Result<()> {
    check_stop_and_exit(check, ended, witness)?;
    check_hook_start(check, ended, witness)?;
    let own = witness
        .wait_for_last("hooked")?
        .since(witness.wait_for_last("hook")?);
    let by = ("the hook", Off::Less);
    check.check_duration("hook", ended.report.hook_duration(), own, by);
    Ok(())
}

fn graceful(check: &mut Check, ended: &Ended) {
    check.verdict(&ended.report, Outcome::Graceful, Trigger::Deleted, &[]);
}

/// A command.
fn exec_hook(stage: &Stage<'_>, check: &mut Check) -> Result<()> {
    let hook = visitor(TWO_SECONDS);
    let hook = format!("lifecycle: {{ preStop: {{ exec: {{ command: {hook} }} }} }}");
    let pod = stage.create_pod("app", &pod_spec(10, &handler(), &hook))?;
    let (ended, mut witness) = delete(stage, &pod)?;
    graceful(check, &ended);
    check.check_hook(
        &ended.report,
        HookKind::Exec,
        HookMethod::Observed,
        How::Ended,
    );
    check_hook_run(check, &ended, &mut witness)?;
    stage.compare(check, &ended)
}

/// A request, which is answered after two seconds.
fn http_hook(stage: &Stage<'_>, check: &mut Check) -> Result<()> {
    run_http_hook(stage, check, "slow", "")
}

/// An answer that says that something went wrong is as good as any to the kubelet.
fn http_500(stage: &Stage<'_>, check: &mut Check) -> Result<()> {
    run_http_hook(stage, check, "broken", "")
}

/// Its readiness probe, which goes on after the deletion, asks the same port every second.
fn http_beside_probes(stage: &Stage<'_>, check: &mut Check) -> Result<()> {
    let probe =
        "readinessProbe: { httpGet: { path: /, port: 8080 }, periodSeconds: 1, timeoutSeconds: 5 }";
    run_http_hook(stage, check, "slow", probe)
}

fn run_http_hook(stage: &Stage<'_>, check: &mut Check, page: &str, more: &str) -> Result<()> {
    let hook = format!(
        "lifecycle: {{ preStop: {{ httpGet: {{ path: /cgi-bin/{page}, port: 8080 }} }} }}\n  {more}"
    );
    // Of a folder without index.html the server says 404.
    let script = format!("mkdir /www; echo ok > /www/index.html\n{WEB}");
    let pod = stage.create_pod("app", &pod_spec(10, &program(&script), &hook))?;
    let (ended, mut witness) = delete(stage, &pod)?;
    graceful(check, &ended);
    check.check_hook(
        &ended.report,
        HookKind::HttpGet,
        HookMethod::Inferred,
        How::Ended,
    );
    check_hook_run(check, &ended, &mut witness)?;
    stage.compare(check, &ended)
}

/// A pause in the kubelet, of which the container sees nothing. It begins up to 1.1 s after the deletion (measured, v1.37.2),
/// since the kubelet first waits for its next look at the runtime; only its Event `Killing` tells when.
fn sleep_hook(stage: &Stage<'_>, check: &mut Check) -> Result<()> {
    let hook = "lifecycle: { preStop: { sleep: { seconds: 3 } } }";
    let pod = stage.create_pod("app", &pod_spec(10, &handler(), hook))?;
    let (ended, mut witness) = delete(stage, &pod)?;
    graceful(check, &ended);
    check.check_hook(
        &ended.report,
        HookKind::Sleep,
        HookMethod::Inferred,
        How::Ended,
    );
    check_stop_and_exit(check, &ended, &mut witness)?;
    let configured = Duration::from_secs(3);
    check.lasted("hook", ended.report.hook_duration(), configured, "the spec");
    stage.compare(check, &ended)
}
