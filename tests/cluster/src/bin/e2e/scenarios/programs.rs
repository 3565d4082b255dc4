//! The shell scripts of the scenarios' containers and hooks. They say when they do what, by the node's clock.

use std::time::Duration;

/// The image of all containers.
pub(super) const IMAGE: &str = "localhost/gracewatch-test:1";

/// `say WORD` writes the word and the time since the boot. Of no help from programs, which the shell would have to start.
const SAY: &str = "say() { read -r up rest < /proc/uptime; echo \"$1 $up\"; }\n";

/// After this a program that wants a handler has one: in its first second the agent gives it the benefit of the doubt.
pub(super) const START_UP: Duration = Duration::from_secs(2);

/// Takes a second to end after SIGTERM, and is not asleep when it comes. It ends its child, so that the kernel has none to kill.
pub(super) fn handler() -> String {
    program(
        "trap 'say stop; kill $!; sleep 1; say exit; exit 0' TERM\nsay up\nwhile :; do sleep 3600 & wait; done",
    )
}

/// Handles SIGTERM, and would need a minute.
pub(super) fn slow_program() -> String {
    program("trap 'say stop; sleep 60' TERM; say up; while :; do sleep 3600 & wait; done")
}

/// A command that runs this script, as YAML. It should begin with `say up`, so that its log is found.
pub(super) fn program(script: &str) -> String {
    command(&format!("{SAY}{script}"))
}

/// The same for a process that the runtime puts into the container: it speaks through the mouth of PID 1.
pub(super) fn visitor(script: &str) -> String {
    command(&visiting(script))
}

/// The script of [`visitor`], to be given to a shell.
pub(super) fn visiting(script: &str) -> String {
    format!("{SAY}exec > /proc/1/fd/1\n{script}")
}

/// JSON is YAML.
fn command(script: &str) -> String {
    serde_json::json!(["sh", "-c", script]).to_string()
}

/// A pod's spec: one container with this command, and what else it has, as YAML in the container's column.
pub(super) fn pod_spec(grace: u32, command: &str, more: &str) -> String {
    format!(
        "terminationGracePeriodSeconds: {grace}\ncontainers:\n{}",
        container("app", command, more)
    )
}

/// One of a spec's `containers`.
pub(super) fn container(name: &str, command: &str, more: &str) -> String {
    format!("- name: {name}\n  image: {IMAGE}\n  command: {command}\n  {more}\n")
}
