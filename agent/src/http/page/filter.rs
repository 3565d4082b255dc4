//! What is wanted: a form that puts it into the address, so that a link shows the same to everybody.

use agent_core::report::Outcome;
use maud::{Markup, html};

use crate::metrics::json_name;
use crate::recent::{Choices, Filter};
use crate::timeline;

/// The form. What is chosen stays a choice, also where no report has it any more.
pub(super) fn render_form(filter: &Filter, choices: &Choices) -> Markup {
    let plain = |value: &String| (value.clone(), value.clone());
    let outcomes = std::iter::once(Outcome::InProgress)
        .chain(Outcome::FINISHED)
        .map(|outcome| {
            (
                json_name(outcome),
                timeline::sign_and_word(outcome).1.to_lowercase(),
            )
        });
    html! {
        form id="filter" class="filter" method="get" action="./" aria-label="Filter" {
            (select("namespace", "Namespace", filter.namespace.as_ref(), choices.namespaces.iter().map(plain)))
            (select("workload", "Workload", filter.workload.as_ref(), choices.workloads.iter().map(plain)))
            (select("outcome", "Outcome", filter.outcome.as_ref(), outcomes))
            @for (name, value) in [("pod", &filter.pod), ("container", &filter.container)] {
                @if let Some(value) = value.as_ref().filter(|value| !value.is_empty()) {
                    p class="fixed" {
                        input type="hidden" name=(name) value=(value);
                        (name) " " bdi { (value) }
                    }
                }
            }
            p class="buttons" {
                button type="submit" { "Show" }
                @if !filter.is_empty() { a id="all" href="./" { "show all" } }
            }
        }
    }
}

fn select(
    name: &str,
    label: &str,
    chosen: Option<&String>,
    choices: impl Iterator<Item = (String, String)>,
) -> Markup {
    let chosen = chosen.filter(|chosen| !chosen.is_empty());
    let choices: Vec<_> = choices.collect();
    let is_choice = |wanted: &String| choices.iter().any(|(value, _)| value == wanted);
    let gone = chosen.filter(|wanted| !is_choice(wanted));
    html! {
        p {
            label for={ "filter-" (name) } { (label) }
            select id={ "filter-" (name) } name=(name) data-live="choice" {
                option value="" { "all" }
                @for (value, text) in &choices {
                    option value=(value) selected[chosen == Some(value)] { (text) }
                }
                @if let Some(gone) = gone {
                    option value=(gone) selected { (gone) }
                }
            }
        }
    }
}
