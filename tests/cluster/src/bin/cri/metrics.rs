//! What /metrics must say of a finished termination: what its report says.

use std::time::Duration;

use agent_core::report::Report;
use anyhow::Result;
use gracewatch_tests::claim;
use gracewatch_tests::whole::Whole;

/// How far a metric may be from its report: the text has fewer digits than a double.
const ROUNDING: f64 = 1e-6;

/// Columns of a container id that metrics show.
const SHORT_ID: usize = 12;

/// Everything in /metrics that is not as in the report.
pub(crate) fn find_differences(agent: &Whole, report: &Report) -> Result<Vec<String>> {
    let (status, text) = agent.get("/metrics")?;
    claim!(status == 200, "/metrics answers {status}");
    let label = |name: &str, value: &str| format!("{name}=\"{value}\"");
    let id = report.subject.container_id.as_deref().unwrap_or_default();
    let container = label("container_id", id.get(..SHORT_ID).unwrap_or(id));
    let pod = label(
        "pod_uid",
        report.subject.pod_uid.as_deref().unwrap_or_default(),
    );
    let word = serde_json::to_value(report.outcome)?;
    let outcome = label("outcome", word.as_str().unwrap_or_default());
    let seconds = |duration: Option<Duration>| duration.map(|known| known.as_secs_f64());
    let killed = f64::from(u8::from(report.kill.is_some()));
    let expected = [
        ("outcome", outcome.as_str(), Some(1.0)),
        ("sigkill_used", "", Some(killed)),
        (
            "prestop_duration_seconds",
            "",
            seconds(report.hook_duration()),
        ),
        (
            "signal_to_exit_seconds",
            "",
            seconds(report.stop_signal_to_exit()),
        ),
    ];
    let mut wrong = Vec::new();
    for (name, more, expected) in expected {
        let name = format!("pod_termination_{name}");
        let found: Vec<_> = text
            .lines()
            .filter(|line| line.starts_with(&format!("{name}{{")))
            .filter(|line| [&container, &pod].iter().all(|label| line.contains(*label)))
            .collect();
        let as_expected = match (found.as_slice(), expected) {
            ([], None) => true,
            ([line], Some(expected)) => {
                let value = line.rsplit(' ').next().and_then(|word| word.parse().ok());
                line.contains(more)
                    && value.is_some_and(|value: f64| (value - expected).abs() < ROUNDING)
            }
            _ => false,
        };
        if !as_expected {
            wrong.push(format!(
                "/metrics has {found:?} where {name} {more} {expected:?} is right"
            ));
        }
    }
    Ok(wrong)
}
