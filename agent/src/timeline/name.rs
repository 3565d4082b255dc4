//! What a report is about, as people name it.

use agent_core::report::Report;

use super::words;
use crate::terminal::text;

/// Between namespace, pod and container.
const SEPARATOR: &str = "/";
/// Columns of the kind of a workload, which may be anybody's word.
const KIND: usize = 20;

/// `namespace/pod/container`, with a container's short id where its name is not known; without Kubernetes the
/// subject's name. Harmless to a terminal.
pub fn name(report: &Report) -> String {
    name_parts(report).join(SEPARATOR)
}

/// The same in at most so many columns: the longest parts are cut, in their middle, until it fits.
pub(crate) fn short_name(report: &Report, columns: usize) -> String {
    let parts = name_parts(report);
    let room = columns.saturating_sub(parts.len().saturating_sub(1));
    let is_pod = |position: usize| parts.len() == 1 || position == 1;
    // The pod is the one that is looked for.
    let share = |position, limit: usize| if is_pod(position) { 2 * limit } else { limit };
    let taken = |limit: usize| -> usize {
        let widths = parts.iter().enumerate();
        widths
            .map(|(position, part)| text::display_width(part).min(share(position, limit)))
            .sum()
    };
    let limit = (0..=room).rev().find(|limit| taken(*limit) <= room);
    let limit = limit.unwrap_or(0);
    let spare = room.saturating_sub(taken(limit));
    let short: Vec<_> = parts
        .iter()
        .enumerate()
        .map(|(position, part)| {
            let more = if is_pod(position) { spare } else { 0 };
            text::cut_middle(part, share(position, limit) + more)
        })
        .collect();
    short.join(SEPARATOR)
}

fn name_parts(report: &Report) -> Vec<String> {
    let subject = text::visible(&report.subject.name);
    let Some(pod) = &report.pod else {
        return vec![subject];
    };
    vec![
        text::visible(&pod.namespace),
        text::visible(&pod.name),
        pod.container.as_deref().map_or(subject, text::visible),
    ]
}

/// What kind of thing it is: the workload's kind, else the subject's.
pub(crate) fn workload_kind(report: &Report) -> String {
    match &report.pod {
        Some(pod) => text::cut_middle(&text::visible(&pod.workload.kind), KIND),
        None => words::subject_kind(report.subject.kind).to_owned(),
    }
}
