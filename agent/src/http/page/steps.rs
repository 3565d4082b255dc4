//! The facts of a termination that have a moment, in order.

use agent_core::report::Report;
use maud::{Markup, html};

use super::{look, moment};
use crate::http::Origin;
use crate::timeline::report_steps;

pub(super) fn render_table(report: &Report, origin: &Origin) -> Markup {
    html! {
        div class="wide" role="region" aria-labelledby="facts" tabindex="0" {
            table class="steps" {
                thead {
                    tr {
                        th scope="col" class="number" { "time (" (moment::clock_name(origin)) ")" }
                        th scope="col" class="number" { "from T0" }
                        th scope="col" { "what happened" }
                        th scope="col" { "who tells it" }
                    }
                }
                tbody {
                    @for step in report_steps(report) {
                        tr {
                            td class="number" { (moment::time_of_day(step.at, origin)) }
                            td class="number" { (moment::offset(step.at, report.started_at)) }
                            td class={ "what " (look::of_news(step.news)) } { bdi { (step.what) } }
                            td class="dim" { (step.from) }
                        }
                    }
                }
            }
        }
    }
}
