//! The shapes that all drawings use, defined once in a page: a texture for each phase and a mark for each event, told apart
//! without colours.

use agent_core::report::Report;
use agent_core::time::Timestamp;
use maud::{Markup, html};

use super::look;
use crate::timeline::{Marker, Phase, Row, Scale};

/// A place on a drawing, in percent of its width.
pub(super) fn percent(scale: &Scale, at: Timestamp) -> String {
    format!("{:.3}%", scale.percent(at))
}

/// The length between two times, in percent of a drawing's width.
pub(super) fn length(scale: &Scale, from: Timestamp, to: Timestamp) -> String {
    format!("{:.3}%", scale.percent(to) - scale.percent(from))
}

/// What marks an event of the course itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Edge {
    StopSignal,
    Kill,
    Exit,
    /// SIGKILL is due, in a termination that is open.
    Due,
}

impl Edge {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::StopSignal => "stop",
            Self::Kill => "kill",
            Self::Exit => "exit",
            Self::Due => "due",
        }
    }

    /// The edges of a report, in the order of their times.
    pub(super) fn edges_of_report(report: &Report) -> Vec<(Self, Timestamp)> {
        let stop = report
            .stop_signal
            .as_ref()
            .map(|stop| (Self::StopSignal, stop.at));
        let kill = report.kill.as_ref().map(|kill| (Self::Kill, kill.at));
        let exit = report.exit.as_ref().map(|exit| (Self::Exit, exit.at));
        [stop, kill, exit].into_iter().flatten().collect()
    }
}

/// A mark at a time; `y` is where its middle is.
pub(super) fn render_edge(edge: Edge, scale: &Scale, at: Timestamp, y: u32) -> Markup {
    html! {
        use href={ "#m-" (edge.name()) } class={ "mark " (edge.name()) } x=(percent(scale, at)) y=(y) {}
    }
}

/// The marks of a report's edges. SIGKILL ends a process at once as a rule: its mark stands beside that of the exit.
pub(super) fn render_edges(report: &Report, scale: &Scale, y: u32) -> Markup {
    let edges = Edge::edges_of_report(report);
    let exit = edges.iter().find(|(edge, _)| *edge == Edge::Exit);
    let exit = exit.map(|(_, at)| scale.percent(*at));
    let is_covered =
        |kind, at| kind == Edge::Kill && exit.is_some_and(|exit| exit - scale.percent(at) < 2.0);
    html! {
        @for (kind, at) in &edges {
            @if is_covered(*kind, *at) {
                g transform="translate(-12 0)" { (render_edge(*kind, scale, *at, y)) }
            } @else {
                (render_edge(*kind, scale, *at, y))
            }
        }
    }
}

/// A mark of something that has a sign.
pub(super) fn render_sign(sign: Marker, scale: &Scale, at: Timestamp, y: u32) -> Markup {
    let name = look::of_sign(sign);
    html! {
        use href={ "#m-" (name) } class={ "mark " (name) } x=(percent(scale, at)) y=(y) {}
    }
}

/// The bar of a row's phase.
pub(super) fn render_phase(row: &Row, scale: &Scale, (y, height): (u32, u32)) -> Markup {
    let Some(end) = row.end else {
        return html! {};
    };
    let name = look::of_phase(row.phase);
    let (x, width) = (percent(scale, row.at), length(scale, row.at, end));
    html! {
        rect class={ "phase " (name) } x=(x) y=(y) width=(width) height=(height) fill={ "url(#p-" (name) ")" } {}
        // The shortest phase is seen, too.
        rect class={ "begin " (name) } x=(x) y=(y) width="2" height=(height) {}
    }
}

/// The texture of a phase, beside its name.
pub(super) fn swatch(phase: Phase) -> Markup {
    let name = look::of_phase(phase);
    html! {
        svg class="swatch" width="14" height="10" aria-hidden="true" focusable="false" {
            rect class={ "phase " (name) } width="14" height="10" fill={ "url(#p-" (name) ")" } {}
        }
    }
}

/// A mark, beside its name.
pub(super) fn sample(name: &str) -> Markup {
    html! {
        svg class="swatch" width="14" height="12" aria-hidden="true" focusable="false" {
            use href={ "#m-" (name) } class={ "mark " (name) } x="7" y="6" {}
        }
    }
}

/// The shapes. Not displayed themselves.
pub(super) fn definitions() -> Markup {
    html! {
        svg class="definitions" width="0" height="0" aria-hidden="true" focusable="false" {
            defs {
                (textures())
                (rendered_marks())
            }
        }
    }
}

fn textures() -> Markup {
    let texture = |name: &str, size: u32, lines: &str| {
        html! {
            pattern id={ "p-" (name) } width=(size) height=(size) patternUnits="userSpaceOnUse" {
                rect class={ "ground " (name) } width=(size) height=(size) {}
                path class={ "lines " (name) } d=(lines) {}
            }
        }
    };
    html! {
        (texture("running", 8, ""))
        (texture("stopping", 8, ""))
        (texture("hook", 8, "M-2 2L2 -2M0 8L8 0M6 10L10 6"))
        (texture("waiting", 6, "M1.5 1.5h1.5v1.5h-1.5zM4.5 4.5h1.5v1.5h-1.5z"))
        (texture("dying", 6, "M0 0L6 6M6 0L0 6"))
        (texture("closing", 5, "M0 2.5H5"))
    }
}

fn rendered_marks() -> Markup {
    html! {
        path id="m-stop" d="M-5 -5H5L0 5z" {}
        path id="m-kill" d="M-5 -3L-3 -5L0 -2L3 -5L5 -3L2 0L5 3L3 5L0 2L-3 5L-5 3L-2 0z" {}
        path id="m-exit" d="M-4.5 -4.5H4.5V4.5H-4.5z" {}
        path id="m-due" d="M-1 -8H1V-5H-1zM-1 -2H1V1H-1zM-1 4H1V7H-1z" {}
        path id="m-sent" d="M0 -6L5 0H1.5V6H-1.5V0H-5z" {}
        path id="m-received" d="M0 6L5 0H1.5V-6H-1.5V0H-5z" {}
        path id="m-refused" d="M-4.5 -3.2L-3.2 -4.5L0 -1.3L3.2 -4.5L4.5 -3.2L1.3 0L4.5 3.2L3.2 4.5L0 1.3L-3.2 4.5L-4.5 3.2L-1.3 0z" {}
        circle id="m-arrival" r="4" {}
        path id="m-endpoint" d="M0 -5.5L5 0L0 5.5L-5 0z" {}
    }
}
