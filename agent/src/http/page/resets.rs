//! The connections of a termination: its resets by reason and phase, and the first of them one by one.

use agent_core::connection::{Connections, Phase};
use agent_core::report::Report;
use maud::{Markup, html};

use super::{look, moment};
use crate::http::Origin;
use crate::timeline::{phase_name, reset_kinds, sign_of};

pub(super) fn section(report: &Report, origin: &Origin) -> Markup {
    html! {
        h2 id="connections" { "Connections" }
        @match &report.connections {
            None => { p { "Its connections are not counted." } },
            Some(connections) => {
                (by_phase(connections))
                (one_by_one(report, connections, origin))
            },
        }
    }
}

fn by_phase(connections: &Connections) -> Markup {
    let kinds = reset_kinds(&connections.resets, &Phase::ALL);
    html! {
        @if kinds.is_empty() {
            p { "None was reset, in any phase." }
        } @else {
            div class="wide" role="region" aria-label="Resets by reason and phase" tabindex="0" {
                table {
                    thead {
                        tr {
                            th scope="col" { "resets" }
                            @for phase in Phase::ALL { th scope="col" class="number" { (phase_name(phase)) } }
                            th scope="col" class="number" { "in all" }
                        }
                    }
                    tbody {
                        @for kind in kinds {
                            tr {
                                th scope="row" { (kind.marker().symbol()) " " (kind.description()) }
                                @for phase in Phase::ALL {
                                    @let count = kind.count_in(phase);
                                    td class="number" { @if count > 0 { (count) } @else { "–" } }
                                }
                                td class="number" { (kind.count()) }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn one_by_one(report: &Report, connections: &Connections, origin: &Origin) -> Markup {
    let marks = &connections.marks;
    html! {
        @if !marks.is_empty() {
            details id="marks" {
                summary { "The first " (marks.len()) " of them since T0, one by one" }
                div class="wide" role="region" aria-label="Resets one by one" tabindex="0" {
                    table {
                        thead {
                            tr {
                                th scope="col" class="number" { "time (" (moment::clock_name(origin)) ")" }
                                th scope="col" class="number" { "from T0" }
                                th scope="col" { "reset" }
                                th scope="col" class="number" { "port" }
                                th scope="col" { "peer" }
                            }
                        }
                        tbody {
                            @for mark in marks {
                                @let sign = sign_of(mark);
                                tr {
                                    td class="number" { (moment::time_of_day(mark.at, origin)) }
                                    td class="number" { (moment::offset(mark.at, report.started_at)) }
                                    td { (sign.symbol()) " " (look::of_sign(sign)) @if let Some(reason) = &mark.class.reason { ": " (reason) } }
                                    td class="number" { (mark.local_port) }
                                    td { @if let Some(peer) = mark.peer { (peer) } @else { "not read" } }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}
