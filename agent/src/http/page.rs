//! The page at `/`: where everything is, and the recent terminations as a plain table.

use std::borrow::Cow;
use std::fmt::{self, Write as _};

use agent_core::connection::Direction;
use agent_core::report::{HookMethod, Report};
use agent_core::time::Timestamp;

use crate::recent::Snapshot;
use crate::timeline;

const HEAD: &str = "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Gracewatch</title>\
<meta name=\"viewport\" content=\"width=device-width\"><style>\
body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:70rem;padding:0 1rem;color-scheme:light dark}\
table{border-collapse:collapse;width:100%}td,th{text-align:left;vertical-align:top;padding:.3rem .8rem .3rem 0;\
border-bottom:1px solid #8884}td.n{text-align:right;font-variant-numeric:tabular-nums}small{opacity:.7}</style>\
<h1>Gracewatch</h1><p>How the pods, containers and services of this machine are terminated. \
<a href=\"/metrics\">metrics</a> · <a href=\"/api/v1/terminations\">terminations as JSON</a> · \
<a href=\"/readyz\">ready?</a> · <a href=\"/livez\">alive?</a></p>";

const COLUMNS: &str = "<table><tr><th>ended<th>container<th>outcome<th>hook<th>stop signal to exit<th>in total<th>connections<th>findings</tr>";

/// The page as it stands.
pub(super) fn render(snapshot: &Snapshot, now: Timestamp) -> String {
    let mut page = HEAD.to_owned();
    // Writing to memory cannot fail.
    write_tables(&mut page, snapshot, now).unwrap_or_default();
    page
}

fn write_tables(page: &mut String, snapshot: &Snapshot, now: Timestamp) -> fmt::Result {
    if snapshot.open.is_empty() && snapshot.finished.is_empty() {
        return page.write_str(
            "<p>No termination yet: stop a service or a container and load this page again.</p>",
        );
    }
    page.write_str(COLUMNS)?;
    for report in snapshot.open.iter().chain(&snapshot.finished) {
        write_row(page, report, now)?;
    }
    page.write_str("</table>")
}

fn write_row(page: &mut String, report: &Report, now: Timestamp) -> fmt::Result {
    let ended = report.exit.as_ref().map_or_else(
        || "open".to_owned(),
        |exit| format!("{} s ago", now.since(exit.at).as_secs()),
    );
    let seconds = |duration: Option<std::time::Duration>| {
        duration.map_or_else(String::new, |duration| {
            format!("{:.3} s", duration.as_secs_f64())
        })
    };
    let name = timeline::name(report);
    let name = escape(&name);
    let about = about(report);
    let about = escape(&about);
    let outcome = crate::metrics::word(report.outcome);
    let why = timeline::trigger(report.trigger).unwrap_or_default();
    let hook = hook(report);
    let after_signal = seconds(report.stop_signal_to_exit());
    let total = seconds(report.total());
    let connections = connections(report);
    write!(
        page,
        "<tr><td>{ended}<td>{name}<br><small>{about}</small><td>{outcome}<br><small>{why}</small><td class=n>{hook}\
         <td class=n>{after_signal}<td class=n>{total}<td>{connections}<td>"
    )?;
    for finding in &report.findings {
        let evidence = escape(&finding.evidence);
        let advice = escape(&finding.advice);
        write!(page, "{evidence} <small>{advice}</small><br>")?;
    }
    page.write_str("</tr>")
}

/// The workload of a pod's container, and where it was.
fn about(report: &Report) -> String {
    let path = &report.subject.path;
    match &report.pod {
        Some(pod) => format!("{} {} · {path}", pod.workload.kind, pod.workload.name),
        None => path.clone(),
    }
}

fn hook(report: &Report) -> String {
    let Some(hook) = &report.hook else {
        return String::new();
    };
    let sign = match hook.method {
        HookMethod::Observed => "",
        HookMethod::Inferred => "≈ ",
    };
    let time = hook.duration().map_or_else(
        || "?".to_owned(),
        |time| format!("{:.3} s", time.as_secs_f64()),
    );
    let failed = match hook.failure {
        Some(failure) => format!(
            "<br><small>failed: {}</small>",
            crate::metrics::word(failure)
        ),
        None => String::new(),
    };
    format!("{sign}{time}{failed}")
}

/// What was reset in the shutdown, and what still came; nothing where it is not counted.
fn connections(report: &Report) -> String {
    let Some(connections) = &report.connections else {
        return String::new();
    };
    let sent = connections.connections_reset(Direction::Sent);
    let received = connections.connections_reset(Direction::Received);
    let resets = match (sent, received) {
        (0, 0) => "none reset".to_owned(),
        (sent, 0) => format!("{sent} resets sent"),
        (0, received) => format!("{received} resets received"),
        (sent, received) => format!("{sent} resets sent, {received} received"),
    };
    let refused = match connections.refused {
        0 => String::new(),
        refused => format!("<br><small>{refused} attempts refused</small>"),
    };
    let last = connections.last_arrival_at.map_or_else(String::new, |at| {
        let after = at.since(report.started_at).as_secs_f64();
        format!("<br><small>last arrival at {after:.3} s</small>")
    });
    format!("{resets}{refused}{last}")
}

/// Names come from whoever makes a cgroup.
fn escape(text: &str) -> Cow<'_, str> {
    if !text.contains(['&', '<', '>', '"', '\'']) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(
        text.replace('&', "&amp;")
            .replace('<', "&lt;")
            .replace('>', "&gt;")
            .replace('"', "&quot;")
            .replace('\'', "&#39;"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_says_whose_container_why_and_how_the_hook_went() {
        let mut report = timeline::sample::of_pod(timeline::sample::seed());
        report.hook = Some(timeline::sample::inferred(
            agent_core::report::HookKind::Sleep,
            &["sleep", "5s"],
            5_000_000,
        ));
        let mut row = String::new();
        write_row(&mut row, &report, Timestamp(2_000_000_000_000)).unwrap();
        for part in [
            "shop/web-7d4b9c6f5-x2x9k/app",
            "Deployment web",
            "graceful<br><small>the pod was deleted",
            "≈ 5.000 s",
        ] {
            assert!(row.contains(part), "no {part} in {row}");
        }
    }

    #[test]
    fn a_row_says_what_was_reset_if_it_was_counted() {
        assert_eq!(connections(&timeline::sample::seed()), "");
        assert_eq!(
            connections(&timeline::sample::cut_off()),
            "4 resets sent, 1 received<br><small>57 attempts refused</small>\
             <br><small>last arrival at 1.230 s</small>"
        );
        let mut report = timeline::sample::seed();
        report.connections = Some(agent_core::connection::Connections::default());
        assert_eq!(connections(&report), "none reset");
    }

    #[test]
    fn names_cannot_break_out_of_the_page() {
        assert_eq!(escape("<b a='x'>&\""), "&lt;b a=&#39;x&#39;&gt;&amp;&quot;");
        assert!(matches!(escape("nginx.service"), Cow::Borrowed(_)));
    }
}
