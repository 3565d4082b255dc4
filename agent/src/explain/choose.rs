//! Which termination is meant.

use agent_core::report::Report;
use anyhow::bail;

use super::show;
use super::source::Remembered;
use crate::failure::UsageError;
use crate::terminal::text::visible;
use crate::timeline;

/// Candidates that are listed.
const CANDIDATES_MAX: usize = 20;

/// A termination, and the other ones of the same container, the newest first.
#[derive(Debug)]
pub(super) struct Chosen<'a> {
    pub(super) report: &'a Report,
    pub(super) others: Vec<&'a Report>,
}

/// The termination that a word means: `last`, a number, a name or a part of one.
///
/// # Errors
/// If nothing is remembered; a [`UsageError`] if the word means none of what is, or several.
pub(super) fn choose<'a>(remembered: &'a Remembered, wanted: &str) -> anyhow::Result<Chosen<'a>> {
    let reports = &remembered.reports;
    let Some(newest) = reports.first() else {
        bail!(
            "{} remembers no termination yet; stop a service or a container, and ask again",
            remembered.whose
        );
    };
    if wanted == "last" {
        // The finished ones stand first.
        return Ok(choose_only(newest));
    }
    if let Some(report) = by_number(reports, wanted) {
        return Ok(choose_only(report));
    }
    let exact: Vec<_> = reports
        .iter()
        .filter(|one| is_called(one, wanted))
        .collect();
    let meant = if exact.is_empty() {
        let has_part = |one: &&Report| !wanted.is_empty() && whole_name(one).contains(wanted);
        reports.iter().filter(has_part).collect()
    } else {
        exact
    };
    match meant.split_first() {
        None => Err(UsageError::new(format!(
            "{} remembers no termination of `{}`; `gracewatch explain` without a name lists what it remembers",
            remembered.whose,
            visible(wanted)
        ))
        .into()),
        Some((report, others)) if others.iter().all(|other| whole_name(other) == whole_name(report)) => {
            Ok(Chosen {
                report,
                others: others.to_vec(),
            })
        }
        Some(_) => Err(UsageError::new(ambiguous(wanted, &meant)).into()),
    }
}

const fn choose_only(report: &Report) -> Chosen<'_> {
    Chosen {
        report,
        others: Vec::new(),
    }
}

fn by_number<'a>(reports: &'a [Report], wanted: &str) -> Option<&'a Report> {
    let number: u64 = wanted.strip_prefix('#').unwrap_or(wanted).parse().ok()?;
    reports.iter().find(|report| report.id == number)
}

/// `namespace/pod/container`, or the subject's name.
fn whole_name(report: &Report) -> String {
    timeline::name(report)
}

/// Whether this is one of its names as a whole.
fn is_called(report: &Report, wanted: &str) -> bool {
    let subject = &report.subject;
    let mut names = vec![
        whole_name(report),
        subject.name.clone(),
        subject.path.clone(),
    ];
    names.extend(subject.container_id.clone());
    if let Some(pod) = &report.pod {
        let workload = &pod.workload;
        names.extend([
            pod.name.clone(),
            format!("{}/{}", pod.namespace, pod.name),
            workload.name.clone(),
            format!("{}/{}", workload.kind, workload.name),
        ]);
        names.extend(pod.container.clone());
        names.extend(
            pod.container
                .as_ref()
                .map(|name| format!("{}/{name}", pod.name)),
        );
    }
    names.iter().any(|name| name == wanted)
}

fn ambiguous(wanted: &str, meant: &[&Report]) -> String {
    let more = meant.len().saturating_sub(CANDIDATES_MAX);
    let candidates = meant
        .iter()
        .take(CANDIDATES_MAX)
        .map(|one| show::summary_line(one));
    let rest = (more > 0).then(|| format!("… and {more} more"));
    let lines: Vec<_> = candidates.chain(rest).collect();
    format!(
        "`{}` is in the names of {} terminations; say which by more of the name, or by the number:\n  {}",
        visible(wanted),
        meant.len(),
        lines.join("\n  ")
    )
}
